/** A run that works until it is ended; an argument makes it one that does not listen, or that fails. */

import { setTimeout as pause } from 'node:timers/promises';
import { runSession, withHost } from '../../../installer/session.ts';
import { type CapstanError, failure } from '../../../src/errors.ts';
import { withPrivateFolder } from '../../../src/secret/private-file.ts';

/** As `status` does: no log, and an interruption taken for a finding. */
async function look(): Promise<number> {
  const work = withHost((host) =>
    withPrivateFolder(async (folder) => {
      folder.write('pin', 'x');
      process.stdout.write(`folder ${folder.path}\n`);
      return host.run('sleep', ['60'], { deadline: 90 }).catch(() => 'unwell');
    }),
  );
  return work.then(
    () => 1,
    (error: CapstanError) => error.exit,
  );
}

const run = () =>
  runSession('rehearsal', { output: 'json', logFile: process.argv[2] ?? '' }, async (session) => {
    const host = process.argv[3]?.startsWith('taken') ? await session.takeHost() : session.openHost();
    const second = process.argv[3] === 'taken-stubborn' ? session.secondSignal() : undefined;
    return withPrivateFolder(async (folder) => {
      folder.write('pin', 'x');
      process.stdout.write(`folder ${folder.path}\n`);
      if (process.argv[3] === 'deaf') await pause(60_000);
      if (process.argv[3] === 'defect') throw new TypeError('not foreseen');
      if (process.argv[3] === 'behind') {
        throw failure('unexpected', 'Something went wrong.', undefined, new TypeError('not foreseen'));
      }
      if (process.argv[3] === 'taken') return undefined;
      await host.run('sleep', ['60'], { deadline: 90 }).catch(async (error: unknown) => {
        if (!second) throw error;
        // What follows an interruption, an undo for instance.
        await host.under(second).run('sleep', ['60'], { deadline: 90 });
      });
      return undefined;
    });
  });

process.exitCode = await (process.argv[3] === 'look' ? look() : run());
