/** Begins one wait as a command does, and ends it at SIGTERM; a test measures how long that takes. */
import { withCertmonger } from '../../../src/certmonger/bus.ts';
import { withLocalDirectory } from '../../../src/directory/client.ts';
import { publicPage } from '../../../src/dogtag/rest.ts';
import { type Host, openHost } from '../../../src/host/host.ts';

const [, , what = '', name = ''] = process.argv;
const waits: Record<string, (host: Host) => Promise<unknown>> = {
  ldap: (host) => withLocalDirectory(host, { name }, async () => {}),
  certmonger: (host) => withCertmonger(host, ({ call }) => call('get_requests')),
  http: (host) => publicPage(host, name, '/ca'),
};
const interrupt = new AbortController();
process.once('SIGTERM', () => interrupt.abort());
const wait = waits[what]?.(openHost(undefined, interrupt.signal));
process.stdout.write('waiting\n');
await wait?.catch((error: { exit: number }) => {
  process.exitCode = error.exit;
});
