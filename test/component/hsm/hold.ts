/** Opens the library that hangs, so that a test can kill this process and see what becomes of the library's. */

import { openHost } from '../../../src/host/host.ts';
import { withModule } from '../../../src/hsm/module.ts';

const [libraryPath = '', how = ''] = process.argv.slice(2);
await withModule(openHost(), { libraryPath, env: { MISBEHAVE: how } }, async () => {});
