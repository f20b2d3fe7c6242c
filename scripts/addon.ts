/**
 * Compiles the PKCS#11 addon in node_modules for this machine, when it is not there or does not load.
 *
 * The addon speaks Node-API only, whose binary interface is stable over Node's versions, so that a compiler and
 * the package `node-api-headers` are enough: no node-gyp, and nothing to download but npm packages.
 */
import { cpSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { failure } from '../src/errors.ts';
import type { Host } from '../src/host/host.ts';
import { HOME, NODE, quiet, say, script, scriptHost, since } from './lib/task.ts';

const PACKAGE = join(HOME, 'node_modules/pkcs11js');
const ADDON = join(PACKAGE, 'build/Release/pkcs11.node');

/** The compiler's arguments, relative to a folder made by {@link stageAddon}. Hardening as Debian builds its own. */
export const ADDON_ARGUMENTS = [
  ...['-std=c++17', '-O2', '-fPIC', '-shared', '-fvisibility=hidden', '-pthread'],
  ...['-D_FORTIFY_SOURCE=2', '-D_GLIBCXX_ASSERTIONS', '-fstack-protector-strong', '-fstack-clash-protection'],
  ...['-fcf-protection', '-Wformat', '-Werror=format-security', '-ffile-prefix-map=/build=.'],
  ...['-DNODE_GYP_MODULE_NAME=pkcs11', '-DNAPI_DISABLE_CPP_EXCEPTIONS', '-DBUILDING_NODE_EXTENSION'],
  ...['-Iincludes', '-Iheaders', 'src/dl.cpp', 'src/common.cpp', 'src/main.cpp'],
  ...['-Wl,-z,relro,-z,now,-z,noexecstack', '-Wl,--as-needed', '-Wl,--build-id=sha1', '-s', '-ldl'],
  ...['-o', 'pkcs11.node'],
];

/** Puts what the compiler needs into a new folder: the addon's sources, PKCS#11's headers, Node-API's headers. */
export function stageAddon(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  cpSync(join(PACKAGE, 'src'), join(folder, 'src'), { recursive: true });
  cpSync(join(PACKAGE, 'includes'), join(folder, 'includes'), { recursive: true });
  cpSync(join(HOME, 'node_modules/node-api-headers/include'), join(folder, 'headers'), { recursive: true });
}

/**
 * Sees that the checkout's addon loads, and compiles it when it does not.
 * @throws CapstanError `command-failed` with the compiler's words, `addon-unusable`
 */
export async function checkoutAddon(host: Host): Promise<void> {
  if (await loads(host)) return;
  const start = performance.now();
  say('compiling the PKCS#11 addon for this machine');
  const folder = join(HOME, 'build/addon-checkout');
  stageAddon(folder);
  await quiet(host, 'g++', ADDON_ARGUMENTS, { cwd: folder });
  mkdirSync(join(PACKAGE, 'build/Release'), { recursive: true });
  renameSync(join(folder, 'pkcs11.node'), ADDON);
  rmSync(folder, { recursive: true });
  if (!(await loads(host))) {
    throw failure('addon-unusable', `The addon ${ADDON} was compiled, yet Node does not load it.`);
  }
  say(`the PKCS#11 addon is compiled and loads (${since(start)})`);
}

async function loads(host: Host): Promise<boolean> {
  if (!readdirSync(PACKAGE).includes('build')) return false;
  const answer = await quiet(host, NODE, ['-e', 'new (require("pkcs11js").PKCS11)()'], { accept: [0, 1] });
  return answer.exitCode === 0;
}

if (import.meta.main) {
  await script(async () => {
    await checkoutAddon(scriptHost());
    return 0;
  });
}
