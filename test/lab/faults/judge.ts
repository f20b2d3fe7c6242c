/** Whether a host is what it must be after a fault: a server like any other, or the host that it was. */
import { setTimeout as sleep } from 'node:timers/promises';
import { changes, type HostState, shapeOf } from '../inventory.ts';
import { holdersOf, SECRETS, sh, unwell, VALUES, value } from '../support.ts';
import { HOST, look, type Run } from './rig.ts';

/** Where the secrets of an installed server lie, and nowhere else: Dogtag's store of passwords, certmonger's requests. */
const HOLDERS: Readonly<Record<string, readonly string[]>> = {
  'token-password': ['/etc/pki/pki-tomcat/password.conf', '/var/lib/certmonger/requests'],
  'ds-password': ['/etc/pki/pki-tomcat/password.conf'],
};

/** Files that are drafts of others, and folders that a run makes for itself. */
const LEFTOVERS =
  'ls -d /run/capstan-* /dev/shm/capstan-* 2>/dev/null; find /etc /root /var/lib/capstan /var/lib/pki -name "*.new" 2>/dev/null';

/** What is wrong with a host that should be a whole server, a line each; none where all is as it should be. */
export async function flawsOfServer(reference?: HostState, host = HOST): Promise<string[]> {
  if ((await sh(host, 'ls /var/lib/capstan/server.json 2>/dev/null || true')) === '')
    return ['there is no server'];
  const state = await look(undefined, host);
  return [
    ...(await unwell(host)).map((name) => `status: ${name} is not well`),
    ...(await recordFlaws(host)),
    ...trackingFlaws(state),
    ...tokenFlaws(state),
    ...(await commonFlaws(state, HOLDERS, host)),
    ...(reference ? changes(shapeOf(reference), shapeOf(state)).map((line) => `unlike others: ${line}`) : []),
  ];
}

/**
 * What is wrong with a host that should be as it was before, a line each.
 * @param compared leaves out of a look what changes by itself
 */
export async function flawsOfBlank(
  before: HostState,
  host = HOST,
  compared = (state: HostState) => state,
): Promise<string[]> {
  const state = compared(await look(undefined, host));
  return [...changes(before, state), ...(await commonFlaws(state, {}, host))];
}

/** A run must end in one of these ways; anything else is a flaw of its own. */
export function flawsOfEnd(run: Run, expected: { exit: number; code?: string }): string[] {
  const last = run.events.at(-1);
  const told = last ? `${last.type} ${last.code ?? ''} ${last.message ?? ''} ${last.next ?? ''}` : run.errors;
  if (run.overdue) return [`it did not end within its deadline; its last words: ${told}`];
  const undone = run.events.filter(({ type }) => type === 'undo-failed');
  return [
    ...(['defect', 'unexpected'].includes(last?.code ?? '')
      ? [`an error that is none for people: ${told}`]
      : []),
    ...(run.exit === expected.exit ? [] : [`exit ${run.exit ?? run.signal}, not ${expected.exit}: ${told}`]),
    ...(expected.code && last?.code !== expected.code ? [`not ${expected.code}: ${told}`] : []),
    ...(run.errors === '' ? [] : [`it wrote to standard error: ${run.errors.slice(0, 500)}`]),
    ...undone.map(({ id, message }) => `the undo of ${id} failed: ${message}`),
  ];
}

/** A run that must be refused and leave the host as it found it. @returns what is wrong with that */
export async function refusedWithoutChange(run: () => Promise<Run>, code: string): Promise<string[]> {
  const before = await settled();
  const refused = await run();
  const last = refused.events.at(-1);
  const codes = [last?.code, ...(last?.failures ?? []).map((one) => one.code)];
  return [
    ...(refused.exit === 2 ? [] : flawsOfEnd(refused, { exit: 2 })),
    ...(codes.includes(code) ? [] : [`the refusal is ${codes.join(', ')}, not ${code}`]),
    ...differences(before, await look()).map((line) => `changed by the refused run: ${line}`),
  ];
}

/**
 * How the host is when nothing changes any more: a guard ends what a killed run left, but a service that was being
 * started goes on until it is up.
 */
async function settled(): Promise<HostState> {
  let last = await look();
  for (let tries = 0; tries < 10; tries += 1) {
    await sleep(5000);
    const now = await look();
    if (differences(last, now).length === 0) return now;
    last = now;
  }
  return last;
}

/** The changes, but for those that a directory which runs makes by itself: every minute it writes a checkpoint. */
function differences(before: HostState, after: HostState): string[] {
  return changes(before, after).filter(
    (line) => !/^contents: .*\/var\/lib\/dirsrv\/slapd-[^/]+\/db\//.test(line),
  );
}

/** What must be nowhere: leftovers of a run, its processes, and secrets but in the files that may hold them. */
export async function commonFlaws(
  state: HostState,
  holders: Readonly<Record<string, readonly string[]>>,
  host: string,
): Promise<string[]> {
  const left = (await sh(host, `{ ${LEFTOVERS}; } || true`)).split('\n').filter(Boolean);
  const secrets = await Promise.all(
    SECRETS.map(async (secret) => {
      const found = await holdersOf(host, `${VALUES}/${secret}`);
      const extra = found.filter((file) => !holders[secret]?.includes(file));
      return extra.map((file) => `${secret} is in ${file}`);
    }),
  );
  return [
    ...left.map((path) => `left behind: ${path}`),
    ...(state['processes of Capstan'] ?? []).map((line) => `still running: ${line}`),
    ...secrets.flat(),
  ];
}

async function recordFlaws(host: string): Promise<string[]> {
  const expected = { tokenName: await value('token-name'), libraryPath: await value('library-path') };
  const found = await sh(host, 'capstan config-show --output json').catch((error: Error) => error.message);
  return found.trim() === JSON.stringify(expected) || sameJson(found, expected)
    ? []
    : [`the record is ${found}`];
}

function sameJson(text: string, expected: Record<string, string>): boolean {
  try {
    return (
      JSON.stringify(Object.entries(JSON.parse(text)).toSorted()) ===
      JSON.stringify(Object.entries(expected).toSorted())
    );
  } catch {
    return false;
  }
}

function trackingFlaws(state: HostState): string[] {
  const requests = (state.certmonger ?? []).filter((line) => line.startsWith('Request ID'));
  const bad = requests.filter(
    (line) => !line.includes('| status: MONITORING |') || line.includes('ca-error'),
  );
  return [
    ...(requests.length === 5 ? [] : [`certmonger has ${requests.length} requests, not 5`]),
    ...bad.map((line) => `certmonger: ${line.slice(0, 200)}`),
  ];
}

function tokenFlaws(state: HostState): string[] {
  const objects = state.token ?? [];
  const count = (kind: string) => objects.filter((line) => line.startsWith(kind)).length;
  const counts = [count('Private Key'), count('Public Key'), count('Certificate'), objects.length].join();
  return counts === '4,4,4,12'
    ? []
    : [`the token holds ${counts} private keys, public keys, certificates, objects; not 4,4,4,12`];
}
