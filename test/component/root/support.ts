/** An offline root on a SoftHSM token in a folder that goes away again, and the commands on it as a person runs them. */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PIN, run, SOFTHSM, type SoftTokens, softTokens } from '../hsm/support.ts';

const MAIN = fileURLToPath(new URL('../../../installer/main.ts', import.meta.url));

/** What may be different from an ordinary root. */
export interface Wish {
  environment?: Record<string, string>;
  libraryPath?: string;
  /** Replaces lines of the ceremony file. */
  edit?: (text: string) => string;
}

export interface Ended {
  code: number | null;
  text: string;
}

export interface OfflineRoot {
  folder: string;
  tokens: SoftTokens;
  file(name: string): string;
  read(name: string): string;
  /** Writes the ceremony file anew. */
  configure(wish?: Wish): string;
  /** Runs `capstan root WORDS... --config root.yaml`. */
  root(...words: string[]): Ended;
  /** The same, without waiting for its end. */
  start(...words: string[]): ChildProcess;
  /** A request of a new key; the SHA-256 of its DER. */
  request(name: string, key: string[], ...more: string[]): string;
}

/** A token called Root in a folder of its own, with its PIN in a file. */
export function offlineRoot(directory: string, name: string): OfflineRoot {
  const folder = join(directory, name);
  mkdirSync(folder, { recursive: true });
  const tokens = softTokens(folder, 'store');
  tokens.add('Root');
  const file = (one: string) => join(folder, one);
  writeFileSync(file('pin'), `${PIN}\n`, { mode: 0o600 });
  const configure = (wish: Wish = {}) => {
    const text = ceremony(file('pin'), { ...tokens.env, ...wish.environment }, wish.libraryPath ?? SOFTHSM);
    writeFileSync(file('root.yaml'), wish.edit?.(text) ?? text);
    return file('root.yaml');
  };
  const words = (given: string[]) => [
    ...[MAIN, 'root', ...given, '--config', file('root.yaml'), '--log-file', file('log')],
  ];
  configure();
  return {
    folder,
    tokens,
    file,
    read: (one) => readFileSync(file(one), 'utf8'),
    configure,
    root(...given) {
      const ended = spawnSync(process.execPath, words(given), {
        encoding: 'utf8',
        cwd: folder,
        timeout: 60_000,
      });
      return { code: ended.status, text: ended.stdout + ended.stderr };
    },
    start: (...given) => spawn(process.execPath, words(given), { cwd: folder, stdio: 'ignore' }),
    request(one, key, ...more) {
      run('openssl', [
        'req',
        '-new',
        '-newkey',
        ...key,
        '-nodes',
        '-keyout',
        file(`${one}.key`),
        '-out',
        file(one),
        ...more,
      ]);
      const der = Buffer.from(readFileSync(file(one), 'utf8').replace(/-----[^-]+-----|\s/g, ''), 'base64');
      writeFileSync(file(`${one}.der`), der);
      return run('sha256sum', [file(`${one}.der`)]).slice(0, 64);
    },
  };
}

function ceremony(pin: string, environment: Record<string, string>, libraryPath: string): string {
  const variables = Object.entries(environment).map(
    ([name, value]) => `    ${name}: ${JSON.stringify(value)}`,
  );
  return `version: 1
token:
  uri: pkcs11:token=Root;object=root-key?module-path=${libraryPath}&pin-source=file:${pin}
  environment:
${variables.join('\n')}
key:
  size: 2048
certificate:
  subject: CN=Example Root CA,O=Example,C=DE
  hash: SHA-384
  validity: 20 years
  path-length: 1
publication:
  crl-urls: [http://pki.example.test/root.crl]
  certificate-urls: [http://pki.example.test/root.crt]
crl:
  validity: 6 months
profiles:
  issuing-ca:
    validity: 10 years
    path-length: 0
    least-key-size: 2048
outputs:
  certificate: root.crt
  transcript: root.txt
  index: index.jsonl
`;
}
