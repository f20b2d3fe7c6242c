/** What the lab tests share: a lab of their own, and the commands that run in its hosts. */
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CommandResult } from '../../src/host/command.ts';
import { openHost } from '../../src/host/host.ts';
import {
  type LabExecOptions,
  type LabRequest,
  labDown,
  labExec,
  labRootPath,
  labUp,
} from '../../src/lab/lab.ts';
import { toolchainRun } from '../../src/lab/toolchain.ts';

/** This machine. */
export const machine = openHost();

const { CAPSTAN_TEST_LAB = 'tests', VITEST_POOL_ID = '' } = process.env;
/** What the names of all labs of a run begin with; another name lets two runs go side by side. */
export const LABS = CAPSTAN_TEST_LAB;
/** The name of the lab that a test file builds and removes, one for each worker. */
export const LAB = `${LABS}${VITEST_POOL_ID}`;

/** Where a host keeps the values of the rehearsal. */
export const VALUES = '/etc/capstan/lab';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Boots fresh hosts; what an earlier run left behind goes first. */
export async function freshLab(request: Omit<LabRequest, 'lab'>): Promise<void> {
  await labDown(machine, { lab: LAB }).catch(() => {});
  await labUp(machine, { lab: LAB, ...request });
}

/** Removes the lab. */
export async function removeLab(): Promise<void> {
  await labDown(machine, { lab: LAB });
}

/** Runs a program in a host. */
export function inHost(
  name: string,
  argv: readonly string[],
  options: LabExecOptions = {},
): Promise<CommandResult> {
  return labExec(machine, LAB, name, argv, options);
}

/** Runs a shell script in a host and gives what it prints. */
export async function sh(name: string, script: string, options: LabExecOptions = {}): Promise<string> {
  return (await inHost(name, ['bash', '-ec', script], options)).stdout;
}

/** A value of the rehearsal: `token-name`, `ds-password`... */
export async function value(name: string): Promise<string> {
  return (await sh('ca1', `cat ${VALUES}/${name}`)).replace(/\n$/, '');
}

/** The options of a whole `server-install` from password files; later ones replace earlier ones of the same name. */
export async function installOptions(changes: Record<string, string | undefined> = {}): Promise<string[]> {
  const options: Record<string, string | undefined> = {
    '--realm': 'EXAMPLE.TEST',
    '--domain': 'example.test',
    '--hostname': 'ca1.example.test',
    '--token-name': await value('token-name'),
    '--library-path': await value('library-path'),
    '--token-password-file': `${VALUES}/token-password`,
    '--ds-password-file': `${VALUES}/ds-password`,
    '--admin-password-file': `${VALUES}/admin-password`,
    ...changes,
  };
  return Object.entries(options).flatMap(([name, given]) => (given === undefined ? [] : [name, given]));
}

/** The last JSON object that a command wrote: its result or its error. */
export function lastEvent(stdout: string): {
  type: string;
  code?: string;
  exit?: number;
  failures?: { code: string; message: string }[];
  message?: string;
} {
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '{}');
}

/** The secrets of the rehearsal, as their files are called. */
export const SECRETS = ['token-password', 'so-pin', 'ds-password', 'admin-password'];

/**
 * The files of a host that hold one of the secrets, beside the rehearsal's own: names of numbered files of one folder
 * as that folder, and `journal` where the system's journal has it in any field.
 */
export async function holdersOf(name: string, secretFile: string): Promise<string[]> {
  const places = [
    '/boot',
    '/dev/shm',
    '/etc',
    '/home',
    '/media',
    '/mnt',
    '/opt',
    '/root',
    '/run',
    '/srv',
    '/tmp',
    '/usr',
    '/var',
  ];
  const found = await sh(
    name,
    `grep -rlaFf ${secretFile} ${places.join(' ')} 2>/dev/null | grep -vFx ${secretFile} | grep -v '^${VALUES}/' | sed 's#/[0-9-]*$##' | sort -u || true
     journalctl -o export --all | grep -qaFf ${secretFile} && echo journal || true`,
    { deadline: 120 },
  );
  return found.split('\n').filter(Boolean);
}

/** The names of what `capstan status` finds unwell on a host. */
export async function unwell(host = 'ca1'): Promise<string[]> {
  const { stdout } = await inHost(host, ['capstan', 'status', '--output', 'json'], {
    accept: [0, 1],
    deadline: 200,
  });
  return JSON.parse(stdout)
    .findings.filter(({ well }: { well: boolean }) => !well)
    .map(({ name }: { name: string }) => name);
}

/** A test module of `test/component/hsm/modules`, and the variables that tell it how to behave. */
export interface TestModule {
  source: 'no-pkcs11' | 'misbehaves' | 'shim';
  settings: Record<string, string>;
}

/**
 * Compiles a test module against the hosts' C library and puts it into a host. What the module takes from its
 * environment elsewhere is compiled in here, because a vendor's library gets no variables from Capstan.
 * @returns its path in the host
 */
export async function putModule(
  name: string,
  file: string,
  { source, settings }: TestModule,
): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'capstan-module-'));
  try {
    cpSync(join(ROOT, `test/component/hsm/modules/${source}.c`), join(folder, 'module.c'));
    cpSync(join(ROOT, 'node_modules/pkcs11js/includes'), join(folder, 'includes'), { recursive: true });
    writeFileSync(join(folder, 'settings.c'), settingsSource(settings));
    await toolchainRun(machine, folder, [
      ...['gcc', '-shared', '-fPIC', '-Iincludes', '-o', 'module.so', 'module.c', 'settings.c', '-ldl'],
    ]);
    const path = `/usr/local/lib/${file}`;
    await copyFile(join(folder, 'module.so'), `${await labRootPath(LAB, name)}${path}`);
    return path;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function settingsSource(settings: Record<string, string>): string {
  const lines = Object.entries(settings).map(
    ([name, text]) => `  setenv(${JSON.stringify(name)}, ${JSON.stringify(text)}, 1);`,
  );
  return `#include <stdlib.h>\n__attribute__((constructor)) static void configure(void) {\n${lines.join('\n')}\n}\n`;
}
