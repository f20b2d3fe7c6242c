/** The lab: disposable machines with a real cluster. What the command, the tests and scripts use of it. */
import type { Host } from '../host/host.ts';
import { withLock } from '../host/lock.ts';
import { blankToken } from './blank-token.ts';
import { type Power, setPower } from './boot.ts';
import { requireLeader } from './exec.ts';
import { labLock, labWait } from './lock.ts';
import { requireLabName, requireSnapshotName } from './names.ts';
import { actOnServer, type HsmAction } from './network-hsm.ts';
import { becomeLabRoot } from './requirements.ts';
import { type RestoreOptions, restoreSnapshot, takeSnapshot } from './snapshot.ts';
import { type LabState, requireState, requireWhole } from './state.ts';

export type { Power } from './boot.ts';
export { labDown } from './down.ts';
export { type LabExecOptions, labExec } from './exec.ts';
export { type ListedLab, labList } from './list.ts';
export type { HsmAction } from './network-hsm.ts';
export type { HsmKind, LabState } from './state.ts';
export { labAttach } from './terminal.ts';
export { type LabRequest, type LabUp, labUp } from './up.ts';

/** Told each step, in a few words. */
type OnLine = (line: string) => void;

/**
 * The folder through which a running host's files are read and written from outside.
 * @throws CapstanError `lab-missing`, `lab-host-missing`, `lab-host-off`
 */
export async function labRootPath(lab: string, name: string): Promise<string> {
  return `/proc/${await requireLeader(lab, name)}/root`;
}

/**
 * Keeps a lab as it is: its hosts, its token and its values. Hosts that run are stopped cleanly and booted again.
 * @throws CapstanError `lab-missing`, `lab-half-restored`, `bad-snapshot-name`, `snapshot-exists`
 */
export async function labSnapshot(
  host: Host,
  lab: string,
  name: string,
  options: { replace?: boolean } = {},
  onLine: OnLine = () => {},
): Promise<void> {
  requireSnapshotName(name);
  return change(
    host,
    lab,
    (state) => takeSnapshot(host, state, name, options.replace ?? false, onLine),
    onLine,
  );
}

/**
 * Puts a lab back to a snapshot and boots its hosts; see {@link restoreSnapshot}.
 * @throws CapstanError `bad-lab-name`, `not-root`, `interrupted`, `bad-snapshot-name`, `snapshot-missing`,
 *   `snapshot-image-missing`
 */
export async function labRestore(
  host: Host,
  lab: string,
  name: string,
  options: RestoreOptions = {},
  onLine: OnLine = () => {},
): Promise<LabState> {
  requireLabName(lab);
  if (options.from !== undefined) requireLabName(options.from);
  requireSnapshotName(name);
  becomeLabRoot();
  return withLock(
    labLock(lab),
    () => restoreSnapshot(host, lab, name, options, onLine),
    labWait(host, lab, onLine),
  );
}

/**
 * Stops, starts, pauses or resumes the network HSM of a lab.
 * @throws CapstanError `lab-missing`, `hsm-not-network`, `lab-host-off`, `command-failed`
 */
export async function labHsm(host: Host, lab: string, action: HsmAction): Promise<void> {
  return change(host, lab, (state) => actOnServer(host, state, action));
}

/**
 * Turns a host off as its administrator would, cuts its power (`kill`), or turns it on.
 * @throws CapstanError `lab-missing`, `lab-host-missing`, `host-kill-failed`, `host-start-failed`, `host-start-deadline`
 */
export async function labPower(host: Host, lab: string, name: string, power: Power): Promise<void> {
  return change(host, lab, (state) => setPower(host, state, name, power));
}

/**
 * Makes the lab's token blank again, with the same label, PIN and SO PIN.
 * @throws CapstanError `lab-missing`, `lab-host-off`, `command-failed`
 */
export async function labTokenReset(host: Host, lab: string): Promise<void> {
  return change(host, lab, (state) => blankToken(host, state));
}

/**
 * Works on a lab that exists and is whole, while nobody else does.
 * @throws CapstanError `not-root`, `bad-lab-name`, `lab-missing`, `lab-half-restored`, `interrupted`
 */
async function change<T>(
  host: Host,
  lab: string,
  work: (state: LabState) => Promise<T>,
  onLine: OnLine = () => {},
): Promise<T> {
  requireLabName(lab);
  becomeLabRoot();
  const locked = async () => work(requireWhole(await requireState(lab)));
  return withLock(labLock(lab), locked, labWait(host, lab, onLine));
}
