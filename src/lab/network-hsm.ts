import { createHash } from 'node:crypto';
import { access, copyFile, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { refusal } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { labExec } from './exec.ts';
import { putFile } from './host-files.ts';
import { hostPlace } from './names.ts';
import { CLIENT_SOURCE } from './network-hsm-client.ts';
import { CACHE_FOLDER, NETWORK_HSM, SOFTHSM } from './settings.ts';
import type { LabState } from './state.ts';
import { initialiseToken } from './token.ts';
import { toolchainRun } from './toolchain.ts';

/** What may be done to the network HSM: an outage and its end, a hang and its end. */
export type HsmAction = 'stop' | 'start' | 'pause' | 'resume';

const ACTIONS: Readonly<Record<HsmAction, readonly string[]>> = {
  stop: ['stop', NETWORK_HSM.unit],
  start: ['start', NETWORK_HSM.unit],
  pause: ['kill', '--signal=SIGSTOP', NETWORK_HSM.unit],
  resume: ['kill', '--signal=SIGCONT', NETWORK_HSM.unit],
};

/**
 * The server: SoftHSM behind p11-kit-server(8), one process a client. The socket is made for its owner alone
 * whatever the umask; every user of the hosts may connect, as to an appliance.
 */
function unit(tokenName: string): string {
  const { user, socket } = NETWORK_HSM;
  const uri = `pkcs11:token=${encodeURIComponent(tokenName)}`.replaceAll('%', '%%');
  return `[Unit]
Description=Network HSM: SoftHSM behind a PKCS#11 server

[Service]
User=${user}
ExecStartPre=/bin/rm -f ${socket}
ExecStart=/usr/bin/p11-kit server -f -n ${socket} --provider ${SOFTHSM.library} "${uri}"
ExecStartPost=/bin/sh -c 'for i in 1 2 3 4 5 6 7 8 9 10; do [ -S ${socket} ] && break; sleep 0.2; done; chmod 0777 ${socket}'

[Install]
WantedBy=multi-user.target
`;
}

/** Makes a host that just booted for the first time into the network HSM, with the lab's blank token in it. */
export async function installServer(host: Host, state: LabState): Promise<void> {
  const { host: name, user, folder } = NETWORK_HSM;
  const run = (argv: string[], input?: string) =>
    labExec(host, state.name, name, argv, input === undefined ? {} : { input });
  const useradd = ['useradd', '--system', '--gid', SOFTHSM.group, '--home-dir', '/nonexistent', user];
  await run(['sh', '-c', 'id -u "$1" >/dev/null 2>&1 || { shift; exec "$@"; }', 'sh', user, ...useradd]);
  await run(['chown', `${user}:${SOFTHSM.group}`, folder]);
  await run(['systemctl', 'stop', NETWORK_HSM.unit]).catch(() => {});
  await initialiseToken(host, state, name, user);
  await run(['tee', `/etc/systemd/system/${NETWORK_HSM.unit}`], unit(state.tokenName));
  await run(['systemctl', 'daemon-reload']);
  await run(['systemctl', 'enable', '--now', NETWORK_HSM.unit]);
}

/** Makes the network HSM's token blank again. Clients lose their connection, as when an appliance is reset. */
export async function resetServer(host: Host, state: LabState): Promise<void> {
  const { host: name, user } = NETWORK_HSM;
  await labExec(host, state.name, name, ['systemctl', 'stop', NETWORK_HSM.unit]);
  await initialiseToken(host, state, name, user);
  await labExec(host, state.name, name, ['systemctl', 'start', NETWORK_HSM.unit]);
}

/** Puts the client library and its configuration into a host that has not booted yet. */
export async function prepareClient(host: Host, state: LabState, name: string): Promise<void> {
  const { upper } = hostPlace(state.name, name);
  const library = join(upper, NETWORK_HSM.library);
  await mkdir(dirname(library), { recursive: true, mode: 0o755 });
  await copyFile(await clientLibrary(host), library);
  await putFile(join(upper, NETWORK_HSM.configuration), `unix:path=${NETWORK_HSM.socket}\n`);
}

/**
 * The client library, compiled for the hosts' C library, from the cache or made now.
 * @param onLine told what the compiler and the image's build write
 */
export async function clientLibrary(host: Host, onLine: (line: string) => void = () => {}): Promise<string> {
  const hash = createHash('sha256').update(CLIENT_SOURCE).digest('hex').slice(0, 16);
  const path = join(CACHE_FOLDER, 'network-hsm', hash, 'libnethsm.so');
  const cached = await access(path).then(
    () => true,
    () => false,
  );
  if (cached) return path;
  const folder = await mkdtemp(join(tmpdir(), 'capstan-nethsm-'));
  try {
    await writeFile(join(folder, 'client.c'), CLIENT_SOURCE);
    const options = ['-O2', '-Wall', '-Wextra', '-Werror', '-fPIC', '-shared', '-o', 'libnethsm.so'];
    await toolchainRun(host, folder, ['gcc', ...options, 'client.c', '-ldl'], onLine);
    await mkdir(dirname(path), { recursive: true });
    const unfinished = `${path}.${process.pid}`;
    await copyFile(join(folder, 'libnethsm.so'), unfinished);
    await rename(unfinished, path);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return path;
}

/**
 * Stops, starts, pauses or resumes the network HSM. Stopped, it drops every connection (an outage); paused, it
 * answers nobody until it is resumed.
 * @throws CapstanError `hsm-not-network`, and those of {@link labExec}
 */
export async function actOnServer(host: Host, state: LabState, action: HsmAction): Promise<void> {
  if (state.hsm !== 'network') {
    throw refusal(
      'hsm-not-network',
      `The lab ${state.name} has a shared HSM: a SoftHSM folder, which cannot be stopped or paused.`,
      'Build a lab with a network HSM: capstan lab up ca1 --lab net --hsm network',
    );
  }
  await labExec(host, state.name, NETWORK_HSM.host, ['systemctl', ...ACTIONS[action]]);
}
