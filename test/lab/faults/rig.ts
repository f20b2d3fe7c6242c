/** A fresh host for one fault, and the way to run Capstan on it while something strikes it. */
import { cp, mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { type HsmKind, labRootPath } from '../../../src/lab/lab.ts';
import { type HostState, hostState } from '../inventory.ts';
import { freshLab, inHost, installOptions, LAB, sh, VALUES } from '../support.ts';
import type { Attack, Ending, Strike } from './inside.ts';

/** The host that is struck. */
export const HOST = 'ca1';

const INSIDE = fileURLToPath(new URL('inside.ts', import.meta.url));

/** Seconds for one run of Capstan; an installation takes 100 on one core, and ten times that beside five other labs. */
const RUN_DEADLINE = 1200;

/** A line of `--output json`: a step's event, the result, or the error. */
export interface RunEvent {
  type: string;
  id?: string;
  code?: string;
  message?: string;
  next?: string;
  exit?: number;
  seconds?: number;
  steps?: { id: string }[];
  failures?: { code: string; message: string }[];
}

/** One run of Capstan: how it ended, and what it said. */
export interface Run extends Ending {
  /** Whether the host went down under it. */
  lost: boolean;
  events: RunEvent[];
  errors: string;
}

/** What strikes one run. */
export interface Blows {
  strikes?: readonly Strike[];
  /** Additional environment of Capstan's own process. */
  env?: Readonly<Record<string, string>>;
  /** What is done from outside the host when a strike asks for it, by its name. */
  outside?: Readonly<Record<string, () => Promise<void>>>;
}

/** Boots a host that has seen nothing yet; what an earlier fault left goes first. @returns how it is */
export async function freshHost(hsm: HsmKind): Promise<HostState> {
  await freshLab({ hosts: [HOST], hsm });
  return look();
}

/** How a host is now. */
export function look(kinds?: readonly string[], host = HOST): Promise<HostState> {
  return hostState((script) => sh(host, script, { deadline: 120 }), kinds);
}

/** Runs `capstan server-install` without questions, with the rehearsal's values and these options. */
export async function install(
  extra: readonly string[] = [],
  blows: Blows = {},
  changes: Record<string, string | undefined> = {},
): Promise<Run> {
  return capstan(['server-install', ...(await installOptions(changes)), ...extra], blows);
}

/** What a resumed run takes from the journal instead of from its options. */
const IN_JOURNAL = ['--realm', '--domain', '--hostname', '--token-name', '--library-path'];

/** Goes on with the installation that the journal tells of; only the secrets are given again. */
export function resume(blows: Blows = {}, changes: Record<string, string | undefined> = {}): Promise<Run> {
  const left = Object.fromEntries(IN_JOURNAL.map((name) => [name, undefined]));
  return install(['--resume'], blows, { ...left, ...changes });
}

/** Takes back the installation that the journal tells of; the token's password deletes its objects. */
export function undo(blows: Blows = {}): Promise<Run> {
  const args = ['server-install', '--undo', '--token-password-file', `${VALUES}/token-password`];
  return capstan(args, blows);
}

/** Runs Capstan without questions while it is struck; `journal` is the one that tells its steps. */
export async function capstan(
  args: readonly string[],
  blows: Blows = {},
  host = HOST,
  journal?: string,
): Promise<Run> {
  const folder = `${await labRootPath(LAB, host)}/run/faults`;
  await mkdir(folder, { recursive: true });
  await cp(INSIDE, `${folder}/inside.ts`);
  const attack: Attack = {
    argv: ['capstan', ...args, '--unattended', '--output', 'json'],
    strikes: blows.strikes ?? [],
    deadline: RUN_DEADLINE,
    ...(journal && { journal }),
    ...(blows.env && { env: blows.env }),
  };
  const ending = await attacked(attack, blows.outside ?? {}, host);
  if (ending.lost) return { ...ending, events: [], errors: '' };
  const events = parsed(await sh(host, 'cat /run/faults/events'));
  return { ...ending, events, errors: await sh(host, 'cat /run/faults/errors') };
}

/** Runs the attack inside the host, and what it asks for outside. */
async function attacked(attack: Attack, outside: NonNullable<Blows['outside']>, host: string) {
  const begun = performance.now();
  const work: Promise<void>[] = [];
  const onLine = (line: string) => {
    const name = /^\{"outside":"([^"]+)"\}$/.exec(line)?.[1];
    if (name !== undefined) work.push(outside[name]?.() ?? Promise.reject(new Error(`nobody does ${name}`)));
  };
  const program = ['/opt/capstan/bin/node', '/run/faults/inside.ts'];
  const options = { input: JSON.stringify(attack), deadline: attack.deadline + 60, onLine };
  const answer = await inHost(host, program, options).catch((error: unknown) => {
    if (work.length === 0) throw error;
    return undefined;
  });
  await Promise.all(work);
  const last = answer?.stdout.trim().split('\n').at(-1);
  if (last !== undefined) return { ...(JSON.parse(last) as Ending), lost: false };
  const seconds = (performance.now() - begun) / 1000;
  const hits = attack.strikes.map(({ step, after }) => ({ step, after, at: seconds, found: 'host lost' }));
  return { exit: null, signal: null, hits, seconds, overdue: false, lost: true };
}

/** A killed run may leave half a line. */
function parsed(output: string): RunEvent[] {
  return output.split('\n').flatMap((line) => {
    try {
      return line === '' ? [] : [JSON.parse(line) as RunEvent];
    } catch {
      return [];
    }
  });
}
