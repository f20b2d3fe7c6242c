/** The lab: disposable machines with a real cluster. What the command and the tests use of it. */
export { labDown } from './down.ts';
export { labExec } from './exec.ts';
export type { HsmKind } from './state.ts';
export { labAttach } from './terminal.ts';
export { type LabRequest, type LabUp, labUp } from './up.ts';
