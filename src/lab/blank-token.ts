import { refusal } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { findMachine } from './machine.ts';
import { installServer, resetServer } from './network-hsm.ts';
import { PKI_USER } from './settings.ts';
import type { LabState } from './state.ts';
import { initialiseToken } from './token.ts';

/**
 * Makes the lab's token blank: with its label, PIN and SO PIN, and nothing on it.
 * @throws CapstanError `lab-host-off` when no host runs that could do it, and those of {@link labExec}
 */
export async function blankToken(host: Host, state: LabState): Promise<void> {
  if (state.hsm === 'network') {
    await (state.tokenReady ? resetServer(host, state) : installServer(host, state));
    return;
  }
  for (const { name } of state.hosts) {
    if (await findMachine(state.name, name)) return initialiseToken(host, state, name, PKI_USER);
  }
  throw refusal(
    'lab-host-off',
    `No host of the lab ${state.name} runs, so that nothing can initialise its token.`,
    'Start one with: capstan lab up',
  );
}
