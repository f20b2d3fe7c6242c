/** Wrong invocations and hostile values, by the installed program on a real host: each refused, none leaving a trace. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ARGUMENTS } from './bad-input/arguments.ts';
import { type BadInput, changes, HOST, judge, snapshot } from './bad-input/driver.ts';
import { FILES, OVERRIDES } from './bad-input/files.ts';
import { LAB_NAMES } from './bad-input/lab.ts';
import { MOVES } from './bad-input/moves.ts';
import { NAMES } from './bad-input/names.ts';
import { REPLICAS } from './bad-input/replicas.ts';
import { SECRETS } from './bad-input/secrets.ts';
import { FIXTURES, install, uninstall } from './bad-input/support.ts';
import { TOKENS } from './bad-input/tokens.ts';
import { NOTHING_UNFINISHED, UNFINISHED } from './bad-input/unfinished.ts';
import { tokenListing } from './nss.ts';
import { freshLab, inHost, lastEvent, removeLab, sh } from './support.ts';

const TABLES: readonly [string, readonly BadInput[]][] = [
  ['words and options', ARGUMENTS],
  ['names', NAMES],
  ['passwords', SECRETS],
  ['log and override files', FILES],
  ['the token', TOKENS],
  ['moves of a token', MOVES],
  ['wishes to join', REPLICAS],
  ['the lab', LAB_NAMES],
  ['ways on where nothing is unfinished', NOTHING_UNFINISHED],
];

let atFirst: string;

beforeAll(async () => {
  await freshLab({ hosts: [HOST] });
  await sh(HOST, FIXTURES + OVERRIDES);
  atFirst = await tokenListing(HOST);
});

afterAll(removeLab);

test('there are enough of them, each with a name of its own', () => {
  const all = [...TABLES.flatMap(([, table]) => table), ...UNFINISHED];
  expect(all.length).toBeGreaterThanOrEqual(150);
  expect(new Set(all.map(({ what }) => what)).size).toBe(all.length);
});

test('what is asserted here can fail', async () => {
  const good = { what: 'help', argv: ['--help'], code: 'usage', names: 'help' };
  expect((await judge([good])).get('help')).toEqual([
    'it ends with 0 and not with 2',
    expect.stringContaining('it tells 0 errors'),
  ]);
  const before = await snapshot();
  await sh(HOST, 'chmod 700 /srv; chmod 755 /srv; touch /run/trace');
  expect(changes(before, await snapshot())).toEqual(['/run/trace', 'disk/srv']);
  await sh(HOST, 'rm /run/trace');
});

describe.each(TABLES)('%s', (_, table) => refusals(table));

describe('while another run is at work', () => {
  const second = { code: 'already-running', names: 'capstan server-install', alone: true };

  beforeAll(async () => {
    // It waits for a password from a pipe that nobody writes to, and has the host meanwhile.
    await sh(HOST, `mkfifo /run/never; systemd-run --quiet --unit=first bash -c '${first()} <> /run/never'`);
    await sh(
      HOST,
      'for try in {1..100}; do grep -q "@capstan-" /proc/net/unix && exit; sleep 0.1; done; exit 1',
    );
  });

  refusals([
    { what: 'an installation', argv: install().filter((word) => word !== '--dry-run'), ...second },
    { what: 'a removal', argv: uninstall('--keep-token'), ...second },
    { what: 'a restart', argv: ['restart', '--output', 'json'], ...second },
  ]);

  afterAll(() => sh(HOST, 'systemctl stop first; rm /run/never'));
});

describe('where an installation is unfinished', () => {
  beforeAll(async () => {
    const words = install({}, '--keep').filter((word) => word !== '--dry-run');
    await sh(HOST, 'mount --bind /bin/false /usr/sbin/dscreate');
    await inHost(HOST, ['capstan', ...words], { accept: [1], deadline: 120 });
    await sh(HOST, 'umount /usr/sbin/dscreate; test -f /var/lib/capstan/server.json');
  });

  refusals(UNFINISHED);

  test('after all of that it can still be undone', async () => {
    const argv = ['capstan', 'server-install', '--unattended', '--undo', '--output', 'json'];
    expect(lastEvent((await inHost(HOST, argv, { deadline: 120 })).stdout)).toMatchObject({ type: 'result' });
    expect(await sh(HOST, 'ls /var/lib/capstan 2>/dev/null || true')).toBe('');
  });
});

test('nothing is on the token that was not there before', async () => {
  expect(await tokenListing(HOST)).toBe(atFirst);
});

/** One test for each wrong invocation of a table; all of them are made before the first is judged. */
function refusals(table: readonly BadInput[]): void {
  let found: ReadonlyMap<string, readonly string[]>;

  beforeAll(async () => {
    found = await judge(table);
  });

  test.each(table.map(({ what }) => what))('%s', (what) => expect(found.get(what)).toEqual([]));
}

/** The words of an installation that reads its PIN from standard input, for a shell. */
function first(): string {
  const words = install({ '--token-password-file': '-' }).filter((word) => word !== '--dry-run');
  return ['capstan', ...words].join(' ');
}
