import { findMachine } from './machine.ts';
import { addressOf, fqdn } from './names.ts';
import { becomeLabRoot } from './requirements.ts';
import { snapshotsOf } from './snapshot.ts';
import { type HsmKind, labNames, readState } from './state.ts';

/** A host as the list shows it. */
export interface ListedHost {
  name: string;
  fqdn: string;
  address: string;
  state: 'running' | 'off';
}

/** A lab as the list shows it. */
export interface ListedLab {
  name: string;
  /** Absent where only snapshots are left of a lab, or its state cannot be read. */
  hsm?: HsmKind;
  tokenName?: string;
  hosts: ListedHost[];
  snapshots: { name: string; taken: string; hosts: string[] }[];
}

/** One lab as it is now. */
async function describeLab(name: string): Promise<ListedLab> {
  const state = await readState(name).catch(() => undefined);
  const hosts = await Promise.all(
    (state?.hosts ?? []).map(async (one): Promise<ListedHost> => {
      const running = await findMachine(name, one.name);
      const address = addressOf(one.octet);
      return { name: one.name, fqdn: fqdn(one.name), address, state: running ? 'running' : 'off' };
    }),
  );
  const snapshots = (await snapshotsOf(name)).map(({ name, taken, state }) => ({
    name,
    taken,
    hosts: state.hosts.map((one) => one.name),
  }));
  return { name, ...(state && { hsm: state.hsm, tokenName: state.tokenName }), hosts, snapshots };
}

/**
 * All labs of this machine.
 * @throws CapstanError `not-root`: others cannot see that there are labs
 */
export async function labList(): Promise<ListedLab[]> {
  becomeLabRoot();
  return Promise.all((await labNames()).map(describeLab));
}
