import { mkdir, readdir, readFile, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { failure } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { labExec } from './exec.ts';
import { labPlace } from './names.ts';
import { findProcesses, lives, signalAll, waitUntil } from './processes.ts';
import { PKI_USER, SOFTHSM } from './settings.ts';
import type { LabState } from './state.ts';
import { labPassword } from './values.ts';

/**
 * Shows the lab's token folder to the hosts with every file owned by pkiuser: SoftHSM makes its objects 0600
 * with the owner of the process that writes, and what root writes Tomcat could not read. A view that broke
 * (its process was killed) is made again; a host that runs keeps the broken one until it is booted anew.
 * @returns whether the view was made now
 */
export async function ensureTokenView(host: Host, state: LabState): Promise<boolean> {
  const { token, tokenView } = labPlace(state.name);
  if (await viewWorks(host, tokenView)) return false;
  await removeTokenView(host, state.name);
  await mkdir(token, { recursive: true, mode: 0o770 });
  await mkdir(tokenView, { recursive: true });
  const { user, group } = await tokenOwner(state.root);
  const options = [
    `--force-user=${user}`,
    `--force-group=${group}`,
    '-p',
    'u=rwX:g=rwXs:o=',
    '-o',
    'allow_other',
  ];
  await host.run('bindfs', [...options, token, tokenView]);
  return true;
}

async function viewWorks(host: Host, view: string): Promise<boolean> {
  const { exitCode } = await host.run('mountpoint', ['--quiet', view], { accept: [0, 1, 32] });
  if (exitCode !== 0) return false;
  return readdir(view).then(
    () => true,
    () => false,
  );
}

/** Takes the view away, and the process behind it. @returns whether all of it is gone */
export async function removeTokenView(host: Host, lab: string): Promise<boolean> {
  const { tokenView } = labPlace(lab);
  await host.run('umount', ['--lazy', tokenView], { accept: [0, 1, 32] });
  const ids = await findProcesses((line) => line[0] === 'bindfs' && line.includes(tokenView));
  await rmdir(tokenView).catch(() => {});
  const ended = (signal: NodeJS.Signals) =>
    waitUntil(async () => {
      signalAll(ids, signal);
      return (await Promise.all(ids.map(lives))).every((living) => !living);
    }, 5);
  return (await ended('SIGTERM')) || ended('SIGKILL');
}

/** The numbers that pkiuser and the group softhsm have in the hosts. */
async function tokenOwner(root: string): Promise<{ user: string; group: string }> {
  const number = async (file: string, name: string) => {
    const text = await readFile(join(root, 'etc', file), 'utf8');
    const found = new RegExp(`^${name}:[^:]*:(\\d+):`, 'm').exec(text)?.[1];
    if (found) return found;
    throw failure('image-unusable', `The image ${root} has no ${name} in /etc/${file}.`, 'Remove the image.');
  };
  return { user: await number('passwd', PKI_USER), group: await number('group', SOFTHSM.group) };
}

/**
 * Initialises a token through its PKCS#11 library (C_InitToken, C_InitPIN). SO PIN, PIN and label come on standard
 * input, a line each: softhsm2-util and pkcs11-tool take PINs as arguments only, or from a terminal.
 */
const INITIALISE = `
import ctypes, sys
so_pin, pin, label = (line.encode() for line in sys.stdin.read().split("\\n")[:3])
lib = ctypes.CDLL(sys.argv[1])
def call(name, *args):
    code = getattr(lib, name)(*args)
    if code != 0: sys.exit("%s: error 0x%x" % (name, code))
call("C_Initialize", None)
count = ctypes.c_ulong(16)
slots = (ctypes.c_ulong * 16)()
call("C_GetSlotList", ctypes.c_ubyte(1), slots, ctypes.byref(count))
ulong = ctypes.c_ulong
call("C_InitToken", ulong(slots[0]), so_pin, ulong(len(so_pin)), label.ljust(32))
count = ctypes.c_ulong(16)
call("C_GetSlotList", ctypes.c_ubyte(1), slots, ctypes.byref(count))
session = ctypes.c_ulong()
call("C_OpenSession", ulong(slots[0]), ulong(6), None, None, ctypes.byref(session))
call("C_Login", session, ulong(0), so_pin, ulong(len(so_pin)))
call("C_InitPIN", session, pin, ulong(len(pin)))
call("C_Finalize", None)
`;

/**
 * Initialises the lab's token with its label, PIN and SO PIN; what was on it is gone.
 * @param on the host whose SoftHSM does it
 * @param user the user who owns the token's files there
 */
export async function initialiseToken(host: Host, state: LabState, on: string, user: string): Promise<void> {
  await labExec(host, state.name, on, ['find', SOFTHSM.tokens, '-mindepth', '1', '-delete']);
  const pin = await labPassword(state.name, 'token-password');
  const soPin = await labPassword(state.name, 'so-pin');
  const input = [soPin.reveal(), pin.reveal(), state.tokenName, ''].join('\n');
  const program = ['python3', '-c', INITIALISE, SOFTHSM.library];
  await labExec(host, state.name, on, ['runuser', '-u', user, '--', ...program], { input });
}
