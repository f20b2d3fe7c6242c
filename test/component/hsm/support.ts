/** Real SoftHSM tokens and small hostile libraries for the tests of this folder, in directories that go away again. */

import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { CapstanError, PreflightError } from '../../../src/errors.ts';
import { type Host, openHost } from '../../../src/host/host.ts';
import type { Log } from '../../../src/host/log.ts';
import { Secret } from '../../../src/secret/secret.ts';

export const PIN = 'Correct-Horse-7';
export const pin = new Secret(PIN, 'token password');

const HERE = fileURLToPath(new URL('.', import.meta.url));
const INCLUDES = fileURLToPath(new URL('../../../node_modules/pkcs11js/includes', import.meta.url));

/** SoftHSM's library, where Debian and Fedora put it. */
export const SOFTHSM =
  ['/usr/lib/softhsm/libsofthsm2.so', '/usr/lib64/pkcs11/libsofthsm2.so'].find(existsSync) ?? '';

/** A directory that every user may enter, for one test file. */
export function workspace(): string {
  const directory = mkdtempSync(join(tmpdir(), 'capstan-hsm-'));
  chmodSync(directory, 0o755);
  return directory;
}

export function removeWorkspace(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
}

/** Compiles one of modules/*.c. */
export function library(directory: string, name: 'no-pkcs11' | 'misbehaves' | 'shim'): string {
  const output = join(directory, `${name}.so`);
  const source = join(HERE, 'modules', `${name}.c`);
  run('gcc', ['-Wall', '-Werror', '-shared', '-fPIC', `-I${INCLUDES}`, '-o', output, source]);
  return output;
}

export interface SoftTokens {
  env: Record<string, string>;
  directory: string;
  /** Makes a token with this label; several may have the same. */
  add(label: string): void;
  /** Runs pkcs11-tool on the token of this label, logged in. */
  tool(label: string, ...args: string[]): string;
  /** An RSA key pair on the token, and a certificate over it, as Dogtag leaves them. */
  keyAndCertificate(label: string, nickname: string, id: string): Buffer;
}

/** An empty store of SoftHSM tokens. */
export function softTokens(directory: string, name: string): SoftTokens {
  const store = join(directory, name);
  mkdirSync(join(store, 'tokens'), { recursive: true });
  const configuration = join(store, 'softhsm2.conf');
  writeFileSync(
    configuration,
    `directories.tokendir = ${join(store, 'tokens')}\nobjectstore.backend = file\n`,
  );
  const env = { SOFTHSM2_CONF: configuration };
  const tool = (label: string, ...args: string[]) =>
    run('pkcs11-tool', ['--module', SOFTHSM, '--token-label', label, '--login', '--pin', PIN, ...args], env);
  return {
    env,
    directory: store,
    add(label) {
      const pins = ['--so-pin', 'Officer-1', '--pin', PIN];
      run('softhsm2-util', ['--init-token', '--free', '--label', label, ...pins], env);
    },
    tool,
    keyAndCertificate(label, nickname, id) {
      tool(label, '--keypairgen', '--key-type', 'rsa:2048', '--label', nickname, '--id', id);
      const files = (suffix: string) => join(store, `${id}.${suffix}`);
      tool(label, '--read-object', '--type', 'pubkey', '--id', id, '--output-file', files('pub'));
      certify(files('pub'), files('der'), nickname);
      tool(label, '--write-object', files('der'), '--type', 'cert', '--label', nickname, '--id', id);
      return readFileSync(files('der'));
    },
  };
}

/** A certificate over a public key (DER), signed by a throw-away authority. */
export function certify(publicKey: string, output: string, name: string): void {
  const authority = `${output}.ca`;
  run('openssl', [
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    `${authority}.key`,
    '-out',
    authority,
    '-subj',
    '/CN=Throw-away',
  ]);
  run('openssl', ['pkey', '-pubin', '-inform', 'DER', '-in', publicKey, '-out', `${publicKey}.pem`]);
  run('openssl', [
    'x509',
    '-new',
    '-force_pubkey',
    `${publicKey}.pem`,
    '-CA',
    authority,
    '-CAkey',
    `${authority}.key`,
    '-subj',
    `/CN=${name}`,
    '-outform',
    'DER',
    '-out',
    output,
  ]);
}

export function run(file: string, args: string[], env: Record<string, string> = {}): string {
  return execFileSync(file, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, ...env },
  });
}

/** This machine, with the log kept in memory. @param token seconds for one call into a library */
export function hostWithLog(signal?: AbortSignal, token = 60): { host: Host; lines: string[] } {
  const lines: string[] = [];
  const log: Log = { write: (text) => lines.push(text), close: () => {}, path: undefined };
  return { host: openHost(log, signal, { deadlines: { token } }), lines };
}

/** The CapstanError that a promise rejects with. */
export async function errorOf(promise: Promise<unknown>): Promise<CapstanError> {
  const outcome = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(outcome).toBeInstanceOf(CapstanError);
  return outcome as CapstanError;
}

/** The codes of everything that a preflight refuses, in order. */
export async function codesOf(promise: Promise<unknown>): Promise<string[]> {
  return (await failuresOf(promise)).map(({ code }) => code);
}

/** Everything that a preflight refuses. */
export async function failuresOf(promise: Promise<unknown>): Promise<readonly CapstanError[]> {
  const error = await errorOf(promise);
  expect(error).toBeInstanceOf(PreflightError);
  return (error as PreflightError).failures;
}

/** Whether a process is there and not a zombie. */
export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** Waits until something holds, for at most five seconds. */
export async function until(holds: () => boolean): Promise<void> {
  await expect.poll(holds, { timeout: 5000, interval: 20 }).toBe(true);
}
