/** Vitest's global set-up of the lab tests: no run finds what another has put on the shelf, and none leaves anything. */
import { emptyShelf } from './ready.ts';

export { emptyShelf as setup, emptyShelf as teardown };
