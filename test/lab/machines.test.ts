import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { openHost } from '../../src/host/host.ts';
import {
  labDown,
  labExec,
  labHsm,
  labList,
  labPower,
  labRestore,
  labRootPath,
  labSnapshot,
  labTokenReset,
  labUp,
} from '../../src/lab/lab.ts';

const host = openHost();
const MAIN = join(import.meta.dirname, '../../installer/main.ts');
const SHARED = 't-shared';
const OTHER = 't-other';
const NETWORK = 't-net';
/** Lists the objects on the token, private ones too, with the library and PIN that the lab hands out. */
const OBJECTS = `pkcs11-tool --module "$(cat /etc/capstan/lab/library-path)" --login --pin "$(cat /etc/capstan/lab/token-password)"`;
const MAKE_KEY = `${OBJECTS} --keypairgen --key-type rsa:2048 --id 01 --label made`;

async function out(lab: string, name: string, script: string, accept: number[] = [0]): Promise<string> {
  const { stdout, stderr } = await labExec(host, lab, name, ['bash', '-c', script], { accept });
  return `${stdout}${stderr}`;
}

/** As pkiuser: the PIN is read by root and handed over on standard input. */
function asPkiuser(script: string): string {
  const pin = 'cat /etc/capstan/lab/token-password';
  const library = '$(cat /etc/capstan/lab/library-path)';
  return `${pin} | runuser -u pkiuser -- bash -c 'read -r pin; pkcs11-tool --module "$0" --login --pin "$pin" ${script}' ${library}`;
}

/** All control groups. Those of other labs come and go, and one that goes while it is read fails the whole look. */
async function allGroups(tries = 20): Promise<string[]> {
  try {
    return await readdir('/sys/fs/cgroup', { recursive: true });
  } catch (error) {
    if (tries === 0) throw error;
    return allGroups(tries - 1);
  }
}

/** What a lab has on this machine outside its own folders. */
async function traces(lab: string): Promise<string[]> {
  const mounts = (await readFile('/proc/mounts', 'utf8')).split('\n');
  const namespaces = await readdir('/run/netns').catch(() => []);
  const groups = (await allGroups()).filter((path) => path.includes(`capstan-${lab}.`));
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(ids.map((id) => readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '')));
  const labs = (await readdir('/var/lib/capstan-lab')).filter((name) => name === lab);
  return [
    ...mounts.filter((line) => line.includes(`capstan-lab/${lab}/`)),
    ...namespaces.filter((name) => name === `capstan-${lab}` || name.startsWith(`capstan-${lab}.`)),
    ...groups,
    ...lines.filter((line) => line.includes(`capstan-${lab}.`) || line.includes(`capstan-lab/${lab}/`)),
    ...labs,
  ];
}

/** `capstan lab exec`, as a person calls it. */
function cli(lab: string, name: string, argv: string[]): ChildProcess {
  return spawn(process.execPath, [MAIN, 'lab', 'exec', '--lab', lab, name, '--', ...argv], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
}

async function ended(child: ChildProcess): Promise<{ code: number | null; stdout: string }> {
  let stdout = '';
  child.stdout?.on('data', (chunk) => {
    stdout += chunk;
  });
  const [code] = await once(child, 'close');
  return { code, stdout };
}

describe('a lab with a shared token', () => {
  beforeAll(async () => {
    await labDown(host, { lab: SHARED });
    await labUp(host, { lab: SHARED, hosts: ['ca1', 'ca2'], bundle: 'none' });
  });
  afterAll(() => labDown(host, { lab: SHARED }));

  test('has hosts that run systemd, know each other by name, and reach nothing else', async () => {
    expect(await out(SHARED, 'ca1', 'systemctl is-system-running; hostname --fqdn')).toBe(
      'running\nca1.example.test\n',
    );
    expect(await out(SHARED, 'ca1', 'ping -c1 -W2 ca2.example.test')).toMatch(/ 0% packet loss/);
    expect(await out(SHARED, 'ca1', 'ip route')).not.toContain('default');
  });

  test('has a blank token that root and pkiuser of both hosts see', async () => {
    for (const name of ['ca1', 'ca2']) {
      expect(await out(SHARED, name, `${OBJECTS} -O`)).not.toMatch(/Object/);
      expect(await out(SHARED, name, asPkiuser('-O'))).not.toMatch(/Object/);
    }
  });

  test('shows a key that root made on one host to pkiuser on the other', async () => {
    await out(SHARED, 'ca1', MAKE_KEY);
    expect(await out(SHARED, 'ca2', asPkiuser('-O'))).toMatch(/Private Key Object[\s\S]*label: +made/);
    await labTokenReset(host, SHARED);
    expect(await out(SHARED, 'ca2', asPkiuser('-O'))).not.toMatch(/Object/);
  });

  test('keeps its values private and the same on all hosts', async () => {
    const stat = 'stat -c "%a %U" /etc/capstan/lab /etc/capstan/lab/* | sort -u';
    expect(await out(SHARED, 'ca1', stat)).toBe('600 root\n700 root\n');
    const all =
      'cd /etc/capstan/lab && cat token-name library-path token-password so-pin ds-password admin-password';
    expect(await out(SHARED, 'ca1', all)).toBe(await out(SHARED, 'ca2', all));
  });

  test('is left alone by a second call, and grows by a third', async () => {
    const same = await labUp(host, { lab: SHARED, hosts: ['ca2', 'ca1'] });
    expect(same).toMatchObject({ changed: false, created: [], started: [] });
    const more = await labUp(host, { lab: SHARED, hosts: ['ca3'] });
    expect(more).toMatchObject({ changed: true, created: ['ca3'], started: ['ca3'] });
    expect(await out(SHARED, 'ca1', 'getent hosts ca3.example.test')).toMatch(/^10\.77\.0\.13 /);
    await labDown(host, { lab: SHARED, hosts: ['ca3'] });
    expect(await out(SHARED, 'ca1', 'getent hosts ca3.example.test', [2])).toBe('');
  });

  test('passes input, output and the exit status of a command through', async () => {
    const child = cli(SHARED, 'ca1', ['sh', '-c', 'cat; exit 7']);
    child.stdin?.end('through');
    expect(await ended(child)).toEqual({ code: 7, stdout: 'through' });
    expect((await ended(cli(SHARED, 'ca1', ['sh', '-c', 'kill -TERM $$']))).code).toBe(143);
    expect((await ended(cli(SHARED, 'ca1', ['no-such-command']))).code).toBe(127);
  });

  test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('passes %s on to the command', async (signal) => {
    const script = `trap 'echo got it; exit 21' ${signal.slice(3)}; echo ready; while :; do sleep 0.1; done`;
    const child = cli(SHARED, 'ca1', ['bash', '-c', script]);
    child.stdout?.once('data', () => child.kill(signal));
    expect(await ended(child)).toEqual({ code: 21, stdout: 'ready\ngot it\n' });
  });

  test('ends a command, and what it started, at its deadline', async () => {
    const sleeper = labExec(host, SHARED, 'ca1', ['sh', '-c', 'sleep 4321 & wait'], { deadline: 1 });
    await expect(sleeper).rejects.toMatchObject({ code: 'command-deadline' });
    expect(await out(SHARED, 'ca1', 'pgrep -fx "sleep 4321"', [1])).toBe('');
  });

  test('reboots when its administrator says so', async () => {
    const before = await labRootPath(SHARED, 'ca1');
    await out(SHARED, 'ca1', 'touch /run/gone /root/stays; systemctl reboot', [0, 1, 137, 143]).catch(
      () => {},
    );
    await vi.waitFor(
      async () => {
        expect(await labRootPath(SHARED, 'ca1')).not.toBe(before);
        expect(
          await out(SHARED, 'ca1', 'systemctl is-system-running; ls /run/gone /root/stays', [2]),
        ).toMatch(/^running\n\/root\/stays\n/);
      },
      { timeout: 60_000, interval: 500 },
    );
  });

  test('survives a power cut', async () => {
    await out(SHARED, 'ca1', 'echo kept > /root/kept');
    await labPower(host, SHARED, 'ca1', 'kill');
    await expect(labRootPath(SHARED, 'ca1')).rejects.toMatchObject({ code: 'lab-host-off', exit: 2 });
    await labPower(host, SHARED, 'ca1', 'on');
    expect(await readFile(join(await labRootPath(SHARED, 'ca1'), 'root/kept'), 'utf8')).toBe('kept\n');
  });

  test('comes back from a snapshot with files, deletions and keys', async () => {
    await out(
      SHARED,
      'ca1',
      `${MAKE_KEY}; rm -r /etc/certmonger; mkdir /etc/certmonger; rm /etc/skel/.bashrc`,
    );
    await labSnapshot(host, SHARED, 'one');
    await out(SHARED, 'ca1', 'touch /etc/certmonger/later /etc/skel/.bashrc');
    await labTokenReset(host, SHARED);
    await labRestore(host, SHARED, 'one');
    expect(await out(SHARED, 'ca1', 'ls -A /etc/certmonger; ls -A /etc/skel')).toBe(
      '.bash_logout\n.profile\n',
    );
    expect(await out(SHARED, 'ca2', asPkiuser('-O'))).toMatch(/Private Key Object/);
  });

  test('gives its snapshot to another lab, which is independent of it', async () => {
    try {
      await labRestore(host, OTHER, 'one', { from: SHARED });
      await out(OTHER, 'ca1', 'touch /root/of-the-other');
      await labTokenReset(host, OTHER);
      expect(await out(OTHER, 'ca1', 'ls -A /etc/certmonger; hostname -f')).toBe('ca1.example.test\n');
      expect(await out(SHARED, 'ca1', 'ls /root')).not.toContain('of-the-other');
      expect(await out(SHARED, 'ca2', asPkiuser('-O'))).toMatch(/Private Key Object/);
    } finally {
      await labDown(host, { lab: OTHER });
    }
    expect(await traces(OTHER)).toEqual([]);
  });

  test('refuses to stop a token folder', async () => {
    await expect(labHsm(host, SHARED, 'stop')).rejects.toMatchObject({ code: 'hsm-not-network', exit: 2 });
  });
});

describe('a lab with a network HSM', () => {
  beforeAll(async () => {
    await labDown(host, { lab: NETWORK });
    const { created } = await labUp(host, {
      lab: NETWORK,
      hosts: ['ca1', 'hsm1'],
      hsm: 'network',
      bundle: 'none',
    });
    expect(created).toEqual(['hsm1', 'ca1']);
  });
  afterAll(() => labDown(host, { lab: NETWORK }));

  test('has a client library that root and pkiuser use without any environment', async () => {
    await out(NETWORK, 'ca1', MAKE_KEY);
    expect(await out(NETWORK, 'ca1', asPkiuser('-O'))).toMatch(/label: +made/);
    expect(await out(NETWORK, 'ca1', 'id -nG pkiuser; ls /var/lib/softhsm/tokens')).toBe('pkiuser\n');
  });

  test('loses the token in an outage and has it again afterwards', async () => {
    await labHsm(host, NETWORK, 'stop');
    expect(await out(NETWORK, 'ca1', `${OBJECTS} -O`, [0, 1])).not.toMatch(/label: +made/);
    await labHsm(host, NETWORK, 'start');
    expect(await out(NETWORK, 'ca1', `${OBJECTS} -O`)).toMatch(/label: +made/);
  });

  test('lets callers wait while the HSM is paused', async () => {
    await labHsm(host, NETWORK, 'pause');
    const listing = labExec(host, NETWORK, 'ca1', ['bash', '-c', `${OBJECTS} -O`], { deadline: 2 });
    await expect(listing).rejects.toMatchObject({ code: 'command-deadline' });
    const waiting = out(NETWORK, 'ca1', `${OBJECTS} -O`);
    await new Promise((resolve) => setTimeout(resolve, 500));
    await labHsm(host, NETWORK, 'resume');
    expect(await waiting).toMatch(/label: +made/);
  });

  test('gets a new HSM with a blank token when the old one was removed', async () => {
    await labDown(host, { lab: NETWORK, hosts: ['hsm1'] });
    const again = await labUp(host, { lab: NETWORK, hosts: ['ca1'] });
    expect(again).toMatchObject({ created: ['hsm1'], started: ['hsm1'] });
    expect(await out(NETWORK, 'ca1', `${OBJECTS} -O`)).not.toMatch(/Object/);
  });
});

describe('a lab that is removed', () => {
  test('leaves nothing, after a crash neither, and another lab runs on', async () => {
    const [one, other] = ['t-one', 't-other'];
    await Promise.all([one, other].map((lab) => labUp(host, { lab, hosts: ['ca1'], bundle: 'none' })));
    try {
      await out(one, 'ca1', 'systemd-run sleep 1234');
      const launcher = Number(await readFile(`/var/lib/capstan-lab/${one}/hosts/ca1/pid`, 'utf8'));
      process.kill(launcher, 'SIGKILL');
      await labDown(host, { lab: one });
      expect(await traces(one)).toEqual([]);
      expect(await out(other, 'ca1', 'systemctl is-system-running')).toBe('running\n');
    } finally {
      await labDown(host, { lab: one });
      await labDown(host, { lab: other });
    }
    expect(await traces(other)).toEqual([]);
    expect((await labList()).map(({ name }) => name)).not.toContain(other);
  });
});
