/** A run that starts a deaf program, with a secret for it in a private folder, and waits to be killed. */
import { openHost } from '../../../src/host/host.ts';
import { startGuard } from '../../../src/host/leftovers.ts';
import { noLog } from '../../../src/host/log.ts';
import { withPrivateFolder } from '../../../src/secret/private-file.ts';

const [, , runId = '', guarded = ''] = process.argv;
if (guarded === 'guarded') startGuard(runId);
const host = openHost(noLog, undefined, { runId });
await withPrivateFolder(async (folder) => {
  folder.write('pin', 'x');
  const deaf = 'trap "" TERM; sleep 300 & echo started; wait; wait; wait; sleep 300';
  await host.run('sh', ['-c', deaf], {
    deadline: 400,
    onLine: () => process.stdout.write(`${folder.path}\n`),
  });
});
