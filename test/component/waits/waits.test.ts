import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { withCertmonger } from '../../../src/certmonger/bus.ts';
import { trackingRequests } from '../../../src/certmonger/tracking.ts';
import { verifyDirectoryCertificate } from '../../../src/directory/certificate.ts';
import { withLocalDirectory } from '../../../src/directory/client.ts';
import { withRemoteDirectory } from '../../../src/directory/remote.ts';
import { caSession, publicPage } from '../../../src/dogtag/rest.ts';
import type { CapstanError } from '../../../src/errors.ts';
import type { Deadlines } from '../../../src/host/deadlines.ts';
import { type Host, openHost } from '../../../src/host/host.ts';
import { noLog } from '../../../src/host/log.ts';
import type { Wait } from '../../../src/host/wait.ts';

/** An address that belongs to this machine and to nobody else's test. */
const SILENT = '127.0.90.1';
const INSTANCE = `SILENT-${process.pid}`;
const OTHER = `HALF-DEAF-${process.pid}`;
const socketOf = (name: string) => `/run/slapd-${name}.socket`;

/** A successful BindResponse to message 1 (RFC 4511, sections 4.1.1 and 4.2.2). */
const BOUND = Buffer.from('300c02010161070a010004000400', 'hex');

const servers: Server[] = [];
const connections = new Set<Socket>();
const processes: ChildProcess[] = [];

/** A peer that takes connections, answers the first message as told, and then says nothing more. */
async function listen(where: { path: string } | { host: string; port: number }, answer?: Buffer) {
  const server = createServer((socket) => {
    connections.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => connections.delete(socket));
    socket.once('data', () => answer && socket.write(answer));
  });
  servers.push(server);
  server.listen(where);
  await once(server, 'listening');
}

/** Starts a program and waits for its first line. */
async function started(
  file: string,
  args: readonly string[],
): Promise<{ child: ChildProcess; line: string }> {
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  processes.push(child);
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return { child, line };
}

beforeAll(async () => {
  await listen({ path: socketOf(INSTANCE) });
  await listen({ path: socketOf(OTHER) }, BOUND);
  for (const port of [636, 8080, 8443]) await listen({ host: SILENT, port });
  const bus = await started('dbus-daemon', ['--session', '--nofork', '--print-address']);
  process.env.DBUS_SYSTEM_BUS_ADDRESS = bus.line;
  const peer = await started(process.execPath, [join(import.meta.dirname, 'silent-peer.ts'), bus.line]);
  peer.child.kill('SIGSTOP');
});

afterAll(() => {
  for (const child of processes) child.kill('SIGKILL');
  for (const server of servers) server.close();
  for (const socket of connections) socket.destroy();
  for (const name of [INSTANCE, OTHER]) rmSync(socketOf(name), { force: true });
});

interface Case {
  what: string;
  deadline: keyof Deadlines;
  code: string;
  begin(host: Host): Promise<unknown>;
}

const address = { hostname: SILENT, caCertificate: '', restPath: '/ca/rest' };

const CASES: Case[] = [
  {
    what: 'a directory that takes no bind',
    deadline: 'ldap',
    code: 'directory-unreachable',
    begin: (host) => withLocalDirectory(host, { name: INSTANCE }, async () => {}),
  },
  {
    what: 'a directory that answers no search',
    deadline: 'ldap',
    code: 'directory-unreachable',
    begin: (host) => withLocalDirectory(host, { name: OTHER }, (directory) => directory.entry('cn=config')),
  },
  {
    what: 'a port of LDAPS behind which nobody speaks TLS',
    deadline: 'ldap',
    code: 'directory-certificate-unverified',
    begin: (host) => verifyDirectoryCertificate(host, { name: 'X', hostname: SILENT, suffix: 'dc=x' }, ''),
  },
  {
    what: 'the directory of another server that does not speak TLS',
    deadline: 'ldap',
    code: 'directory-unreachable',
    begin: (host) => withRemoteDirectory(host, { hostname: SILENT, caCertificate: '' }, async () => {}),
  },
  {
    what: 'a page of a CA that does not answer',
    deadline: 'http',
    code: 'ca-unreachable',
    begin: (host) => publicPage(host, SILENT, '/ca/admin/ca/getStatus'),
  },
  {
    what: 'a REST interface that does not answer',
    deadline: 'rest',
    code: 'ca-unreachable',
    begin: (host) => caSession(host, address).get('/account/login'),
  },
  {
    what: 'a certmonger that does not answer',
    deadline: 'certmonger',
    code: 'certmonger-unreachable',
    begin: (host) => withCertmonger(host, trackingRequests),
  },
  {
    what: 'a program that does not end',
    deadline: 'service',
    code: 'command-deadline',
    begin: (host) => host.run('sleep', ['60'], { deadline: 'service' }),
  },
  {
    what: 'a program that does not want to end',
    deadline: 'pkispawn',
    code: 'command-deadline',
    begin: (host) => host.run('sh', ['-c', 'trap "" TERM; sleep 60; sleep 60'], { deadline: 'pkispawn' }),
  },
];

/** What a wait ended with, and after how many seconds. */
async function ended(wait: Promise<unknown>): Promise<{ error: CapstanError; seconds: number }> {
  const begun = performance.now();
  const error = await wait.then(
    () => expect.unreachable('it was answered'),
    (thrown: CapstanError) => thrown,
  );
  return { error, seconds: (performance.now() - begun) / 1000 };
}

/** A program gets 5 s between the request to end and the kill. */
const patience = ({ what }: Case) => (what.endsWith('want to end') ? 9 : 4);

describe.concurrent.each(CASES)('$what', (one) => {
  test('is given up at its deadline, with the way to a longer one', async () => {
    const host = openHost(noLog, undefined, { deadlines: { [one.deadline]: 0.5 } });
    const { error, seconds } = await ended(one.begin(host));
    expect(error).toMatchObject({ code: one.code, exit: 1 });
    expect(`${error.message} ${error.next}`).toContain(`--deadline ${one.deadline}=SECONDS`);
    expect(error.message).toContain('within 0.5 s');
    expect(seconds).toBeGreaterThan(0.4);
    expect(seconds).toBeLessThan(patience(one));
  });

  test('does not hold up an interrupted run', async () => {
    const interrupt = new AbortController();
    setTimeout(() => interrupt.abort(), 500);
    const { error, seconds } = await ended(one.begin(openHost(noLog, interrupt.signal)));
    expect(error.exit).toBe(130);
    expect(seconds).toBeLessThan(patience(one));
  });

  test('is not begun by an interrupted run', async () => {
    const { error, seconds } = await ended(one.begin(openHost(noLog, AbortSignal.abort())));
    expect(error.exit).toBe(130);
    expect(seconds).toBeLessThan(2);
  });

  test('is told, once, when it takes longer than 2 s', async () => {
    const waits: Wait[] = [];
    const interrupt = new AbortController();
    const host = openHost(noLog, interrupt.signal, { onWaiting: (wait) => waits.push(wait) });
    const outcome = ended(one.begin(host));
    await pause(1500);
    expect(waits).toEqual([]);
    await pause(1500);
    interrupt.abort();
    await outcome;
    expect(waits).toEqual([{ what: expect.stringMatching(/\S/), deadline: host.deadlines[one.deadline] }]);
  });
});

test.each([
  ['ldap', INSTANCE],
  ['http', SILENT],
  ['certmonger', ''],
])('an interrupted program waits for nothing any more (%s)', async (...what) => {
  const { child } = await started(process.execPath, [join(import.meta.dirname, 'wait.ts'), ...what]);
  await pause(500);
  const begun = performance.now();
  child.kill('SIGTERM');
  const [code] = await once(child, 'exit');
  expect(code).toBe(130);
  expect(performance.now() - begun).toBeLessThan(4000);
});

test('a bus that is there and hangs is given up, too', async () => {
  const bus = await started('dbus-daemon', ['--session', '--nofork', '--print-address']);
  const usual = process.env.DBUS_SYSTEM_BUS_ADDRESS;
  process.env.DBUS_SYSTEM_BUS_ADDRESS = bus.line;
  bus.child.kill('SIGSTOP');
  const host = openHost(noLog, undefined, { deadlines: { certmonger: 0.5 } });
  const { error, seconds } = await ended(withCertmonger(host, trackingRequests));
  process.env.DBUS_SYSTEM_BUS_ADDRESS = usual;
  expect(error.code).toBe('certmonger-unreachable');
  expect(seconds).toBeLessThan(4);
});

test('a bus without certmonger says so at once', async () => {
  const bus = await started('dbus-daemon', ['--session', '--nofork', '--print-address']);
  const usual = process.env.DBUS_SYSTEM_BUS_ADDRESS;
  process.env.DBUS_SYSTEM_BUS_ADDRESS = bus.line;
  const { error, seconds } = await ended(withCertmonger(openHost(), trackingRequests));
  process.env.DBUS_SYSTEM_BUS_ADDRESS = usual;
  expect(error.code).toBe('certmonger-unreachable');
  expect(seconds).toBeLessThan(4);
});
