/** What faults strike: the flow that makes a server of a host, and how what it leaves is judged. */
import type { HsmKind } from '../../../src/lab/lab.ts';
import type { HostState } from '../inventory.ts';
import type { Context } from './fault.ts';
import { flawsOfBlank, flawsOfServer } from './judge.ts';
import { type Blows, HOST, install, look, type Run, resume, undo } from './rig.ts';

/** A flow of Capstan's, the host that it runs on, and what is judged afterwards. */
export interface Flow {
  host: string;
  /** Gives a host that the flow was not begun on. */
  blank(context: Context, hsm: HsmKind): Promise<HostState>;
  /** Says that what {@link Flow.blank} gave is as it was. */
  blankAgain(context: Context): void;
  /** How everything is now that an undo must put back. */
  look(): Promise<HostState>;
  begin(options: readonly string[], blows: Blows, changes: Record<string, string | undefined>): Promise<Run>;
  resume(blows?: Blows): Promise<Run>;
  undo(blows?: Blows): Promise<Run>;
  /** What is wrong where the flow came to its end. */
  flawsOfServer(context: Context): Promise<string[]>;
  /** What is wrong where all of it was taken back. */
  flawsOfBlank(before: HostState): Promise<string[]>;
}

/** `server-install` on a host of its own. */
export const FIRST_SERVER: Flow = {
  host: HOST,
  blank: (context, hsm) => context.blank(hsm),
  blankAgain: (context) => context.blankAgain(),
  look: () => look(),
  begin: install,
  resume,
  undo,
  flawsOfServer: (context) => flawsOfServer(context.reference),
  flawsOfBlank: (before) => flawsOfBlank(before),
};
