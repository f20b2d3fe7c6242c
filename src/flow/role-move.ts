/** Moving a role that one server has for all: `capstan role move`. */
import { readFile } from 'node:fs/promises';
import { withLocalDirectory } from '../directory/client.ts';
import { type ServerEntry, setMark } from '../directory/masters.ts';
import { agentCredentials } from '../dogtag/agent.ts';
import { INSTANCE } from '../dogtag/certificates.ts';
import { CRL_DN, type CrlFacts, crlGeneration, generateCrl, setCrlGeneration } from '../dogtag/crl.ts';
import { stopInstance } from '../dogtag/destroy.ts';
import { CapstanError, failure, isInterruption, refusal } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { pause, within } from '../host/wait.ts';
import { quoted } from '../names/quoted.ts';
import type { Listener } from '../plan/step.ts';
import { lastCrl } from './crl-look.ts';
import { requireHsm, restoreCa } from './recovery.ts';
import { caOf, type Duty, holders, MARKS, type Roles, readRoles } from './roles.ts';
import { CA_FILE, directoryOf, installedServer, type Report, type Site } from './site.ts';
import { stepper } from './token-move.ts';
import { askOne } from './topology.ts';

/** What is to be moved where. */
export interface RoleMove {
  duty: Duty;
  /** The server that is to have it: its whole name, or what comes before the first dot. */
  target: string;
  /** Whether the CRLs are taken over from a server that does not answer. */
  force: boolean;
  listen: Listener;
}

/**
 * Gives a role to another server. Who renews is only recorded, so that any server can say it. Who generates CRLs is a
 * setting of each Dogtag, which nobody else can change: the old generator stops first, by this command there, and then
 * the new one begins, by the same command there. Each of them looks where the move has come to, so that a run that was
 * killed is simply made again, and there are never two generators.
 * @throws CapstanError (exit code 2, nothing changed) `server-unknown`, `no-ca`, `crl-elsewhere`, `crl-generator-answers`,
 *   `hsm-unavailable`; (exit code 1) `ca-not-started`, `crl-not-generated`, `crl-unverified`, `interrupted`, ...
 */
export async function moveRole(host: Host, { duty, target, force, listen }: RoleMove): Promise<Report> {
  const [{ site }, roles] = await Promise.all([installedServer(), readRoles(host)]);
  const wanted = requireTarget(roles.servers, target);
  if (duty === 'renewal-master') return moveMark(host, site, roles, wanted, listen);
  const move = { host, site, roles, target: wanted, listen };
  return same(wanted, site.hostname) ? takeCrl(move, force) : handOverCrl(move);
}

/** The server that is meant; it must have a CA in use. */
function requireTarget(servers: readonly ServerEntry[], target: string): string {
  const wanted = target.toLowerCase();
  const found = servers.filter(
    ({ hostname }) => hostname.toLowerCase() === wanted || hostname.toLowerCase().startsWith(`${wanted}.`),
  );
  const [server, another] = found;
  if (!server || another) {
    const names = servers.map(({ hostname }) => hostname).join(', ');
    throw refusal(
      'server-unknown',
      `${quoted(target)} is no server of the cluster.`,
      `The servers are ${names}.`,
    );
  }
  if (caOf(server)?.enabled) return server.hostname;
  throw refusal(
    'no-ca',
    `${server.hostname} has no certificate authority, which this role belongs to.`,
    'Name a server with a CA, or give it one with "capstan ca-add" there.',
  );
}

async function moveMark(
  host: Host,
  site: Site,
  roles: Roles,
  target: string,
  listen: Listener,
): Promise<Report> {
  const before = holders(roles.servers, 'renewal-master');
  if (before.length === 1 && before[0] === target) {
    return { title: `${target} renews the certificates that all share already.`, facts: [], next: [] };
  }
  const step = stepper(host, listen, [['record', `Record ${target} as the one that renews what all share`]]);
  await step('record', () => mark(host, site, 'renewal-master', before, target));
  return {
    title: `${target} renews the certificates that all share from now on.`,
    facts: before.map((value) => ({ name: 'Before', value })),
    next: [],
  };
}

/** First taken away, then given: for a moment nobody has it, but never two. */
async function mark(
  host: Host,
  site: Site,
  duty: Duty,
  before: readonly string[],
  target: string,
): Promise<void> {
  const { name, suffix } = directoryOf(site);
  const role = { role: 'CA', mark: MARKS[duty] } as const;
  await withLocalDirectory(host, { name }, async (directory) => {
    for (const hostname of before.filter((one) => one !== target))
      await setMark(directory, suffix, { ...role, hostname, on: false });
    await setMark(directory, suffix, { ...role, hostname: target, on: true });
  });
}

/** A move of the CRLs, seen from the server on this host. */
interface CrlMove {
  host: Host;
  site: Site;
  roles: Roles;
  target: string;
  listen: Listener;
}

/** On a server that is not to generate them: it stops, and the record names the other one. */
async function handOverCrl({ host, site, roles, target, listen }: CrlMove): Promise<Report> {
  const { hostname } = site;
  const before = holders(roles.servers, 'crl');
  const isOff = roles.crlHere === undefined || roles.crlHere === 'off';
  const isRecorded = before.length === 1 && before[0] === target;
  if (isOff && !isRecorded && before.length > 0 && !before.includes(hostname)) {
    throw elsewhere(before, target);
  }
  const done: Report = {
    title:
      isOff && isRecorded
        ? `${hostname} generates no CRLs; ${target} is to.`
        : `${hostname} generates no CRLs any more.`,
    facts: [{ name: 'Recorded', value: target }],
    next: [
      `Run the same command on ${target}; it begins to generate them then: capstan role move crl ${target}`,
    ],
  };
  if (isOff && isRecorded) return done;
  const hasCa = roles.crlHere !== undefined;
  if (hasCa) await requireHsm(host, site, () => {});
  const step = stepper(host, listen, [
    ['stop', `Have the CA of ${hostname} generate no CRLs`],
    ['record', `Record that ${target} generates them`],
  ]);
  await step('stop', async () => {
    if (hasCa) await setting(host, site, 'off', tell(listen, 'stop'));
  });
  await step('record', () => mark(host, site, 'crl', before, target));
  return done;
}

function elsewhere(before: readonly string[], target: string) {
  return refusal(
    'crl-elsewhere',
    `${before.join(', ')} generates the CRLs, and only there can that be ended.`,
    `Run there first: capstan role move crl ${target}. If that server is gone for good, run it on ${target} with --force.`,
  );
}

/** On the server that is to generate them: when no other does any more, it begins. */
async function takeCrl({ host, site, roles, listen }: CrlMove, force: boolean): Promise<Report> {
  const { hostname } = site;
  const others = holders(roles.servers, 'crl').filter((one) => one !== hostname);
  if (others.length > 0 && !force) throw elsewhere(others, hostname);
  for (const other of others) await requireSilent(host, other);
  await requireHsm(host, site, () => {});
  const step = stepper(host, listen, [
    ['record', `Record that ${hostname} generates the CRLs`],
    ['begin', `Have the CA of ${hostname} generate CRLs`],
    ['proof', 'Generate one of all that is revoked, and verify it'],
  ]);
  await step('record', () => mark(host, site, 'crl', others, hostname));
  await step('begin', () => setting(host, site, 'on', tell(listen, 'begin')));
  const crl = await step('proof', () => freshCrl(host, site));
  return {
    title: `${hostname} generates the CRLs.`,
    facts: [
      { name: 'CRL', value: `number ${crl.number}, good until ${crl.nextUpdate.toISOString()}` },
      ...others.map((value) => ({ name: 'Taken from', value: `${value}, which did not answer` })),
    ],
    next: others.map(
      (other) =>
        `Should ${other} come back, run there at once: capstan role move crl ${hostname}. Until then two servers may generate CRLs.`,
    ),
  };
}

/** Refuses to take the CRLs from a server that answers: it can be told, and would go on. */
async function requireSilent(host: Host, other: string): Promise<void> {
  const ca = await authorityAt(other);
  const answer = await askOne(host, other, (bounded) => generateCrl(bounded, ca)).catch((error: unknown) => {
    if (host.signal.aborted || !(error instanceof CapstanError)) throw error;
    return error.code === 'ca-unreachable' || error.code === 'deadline-passed' || isInterruption(error)
      ? undefined
      : error;
  });
  if (answer === undefined || answer === false) return;
  throw refusal(
    'crl-generator-answers',
    `The CA at ${other} answers; two servers would generate CRLs, with the same numbers.`,
    `Run on ${other}, where it can be ended: capstan role move crl SERVER.`,
  );
}

async function authorityAt(hostname: string) {
  const [caCertificate, agent] = await Promise.all([readFile(CA_FILE, 'utf8'), agentCredentials()]);
  return { hostname, caCertificate, agent };
}

/**
 * Stops the CA where its configuration has to be changed, and waits until it has made a signature again: also one that a
 * killed run left stopped.
 */
async function setting(
  host: Host,
  site: Site,
  generation: 'on' | 'off',
  line: (text: string) => void,
): Promise<void> {
  if ((await crlGeneration(INSTANCE)) !== generation) {
    line("Stopping Dogtag's Tomcat");
    await stopInstance(host, INSTANCE);
    await setCrlGeneration(host, INSTANCE, generation);
  }
  await restoreCa(host, site, line, (await installedServer()).hasKra);
  if ((await crlGeneration(INSTANCE)) === generation) return;
  throw failure('crl-not-set', 'Dogtag did not keep what it was told about CRLs.');
}

/** Milliseconds between two requests: a CA that has just started does not know its CRLs at once. */
const BETWEEN_LOOKS = 1000;

async function freshCrl(host: Host, site: Site): Promise<CrlFacts> {
  const ca = await authorityAt(site.hostname);
  await within(host, 'startup', `the CA at ${site.hostname} to generate a CRL`, async (signal) => {
    while (!signal.aborted && !(await generateCrl(host, ca))) await pause(host, BETWEEN_LOOKS, 'the CRL');
  });
  const crl = await withLocalDirectory(host, directoryOf(site), (directory) => lastCrl(host, directory));
  if (crl) return crl;
  throw failure('crl-not-generated', `There is no CRL in ${CRL_DN}.`);
}

function tell(listen: Listener, id: string) {
  return (line: string) => listen({ type: 'step-line', id, line });
}

function same(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}
