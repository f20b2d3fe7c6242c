/** Names of labs, hosts and snapshots that would lead out of the lab's folder. */
import type { BadInput } from './driver.ts';
import { long } from './support.ts';

const bad = (what: string, words: readonly string[], code: string, names: string): BadInput => ({
  what: `lab: ${what}`,
  argv: ['lab', ...words],
  code,
  names,
});

const NO_LABS = ['', '../../etc', 'Default', long(12), 'a\nb'];

/** Everything that is wrong with the words of `capstan lab`. */
export const LAB_NAMES: readonly BadInput[] = [
  bad('no command', [], 'usage', 'command'),
  bad('an unknown command', ['boot'], 'usage', 'boot'),
  bad('no host to boot', ['up'], 'usage', 'host'),
  bad('a trouble that there is not', ['hsm', 'explode'], 'usage', 'explode'),
  bad('an HSM that there is not', ['up', 'ca1', '--hsm', 'cloud'], 'usage', '--hsm'),
  bad('two labs', ['up', 'ca1', '--lab=a', '--lab=b'], 'usage', '--lab is given twice'),
  ...NO_LABS.map((name) =>
    bad(`the name ${JSON.stringify(name)}`, ['down', `--lab=${name}`], 'bad-lab-name', 'lab'),
  ),
  ...['', '../ca1', 'CA1', 'ca1;reboot'].map((name) =>
    bad(`the host ${JSON.stringify(name)}`, ['up', name], 'bad-host-name', name),
  ),
  bad('a host to remove that climbs up', ['down', '../../etc'], 'bad-host-name', '../../etc'),
  bad('a host to enter that climbs up', ['exec', '../ca1', '--', 'true'], 'bad-host-name', '../ca1'),
  bad('a snapshot that climbs up', ['snapshot', '../../etc'], 'bad-snapshot-name', '../../etc'),
  bad('a snapshot to restore that climbs up', ['restore', '../../etc'], 'bad-snapshot-name', '../../etc'),
  bad('a label with a semicolon', ['up', 'ca1', '--token-name', 'a;b'], 'bad-token-name', 'a;b'),
];
