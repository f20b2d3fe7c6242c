/** Tokens of the real SoftHSM of this machine, moved from one folder of tokens to another. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { exportToken } from '../../../src/flow/token-export.ts';
import { importToken } from '../../../src/flow/token-import.ts';
import type { TokenMove } from '../../../src/flow/token-move.ts';
import { type Host, openHost } from '../../../src/host/host.ts';
import { withModule } from '../../../src/hsm/module.ts';
import { sealToken } from '../../../src/hsm/token-file.ts';
import type { PlanEvent } from '../../../src/plan/step.ts';
import { Secret } from '../../../src/secret/secret.ts';
import {
  errorOf,
  hostWithLog,
  library,
  pin,
  removeWorkspace,
  run,
  SOFTHSM,
  type SoftTokens,
  softTokens,
  workspace,
} from '../hsm/support.ts';

const PASSPHRASE = 'battery-staple-correct';
const passphrase = new Secret(PASSPHRASE, 'passphrase');
const NOBODY = { uid: Number(run('id', ['-u', 'nobody'])), gid: Number(run('id', ['-g', 'nobody'])) };
/** A module that is not SoftHSM: the one of OpenSC, for smart cards. */
const OPENSC = ['/usr/lib/x86_64-linux-gnu/opensc-pkcs11.so', '/usr/lib64/opensc-pkcs11.so'].find(existsSync);

let directory: string;
let source: SoftTokens;
let target: SoftTokens;
let file: string;
let host: Host;
let lines: string[];
let round = 0;

beforeAll(() => {
  directory = workspace();
  source = softTokens(directory, 'source');
  source.add('HSM');
  source.keyAndCertificate('HSM', 'caSigningCert cert-pki-ca', '01');
  source.keyAndCertificate('HSM', 'subsystemCert cert-pki-ca', '02');
});
afterAll(() => removeWorkspace(directory));

beforeEach(() => {
  round += 1;
  target = softTokens(directory, `target-${round}`);
  file = join(directory, `hsm-${round}.token`);
  ({ host, lines } = hostWithLog());
});

interface Changes extends Partial<TokenMove> {
  label?: string;
  libraryPath?: string;
  on?: Host;
}

const quiet = () => {};

function send({ label = 'HSM', libraryPath = SOFTHSM, on = host, ...changes }: Changes = {}) {
  const token = { label, libraryPath };
  return exportToken(on, { token, file, passphrase, listen: quiet, as: { env: source.env }, ...changes });
}

function receive({ libraryPath = SOFTHSM, on = host, ...changes }: Changes = {}) {
  return importToken(on, {
    libraryPath,
    file,
    passphrase,
    listen: quiet,
    as: { env: target.env },
    ...changes,
  });
}

const tokensOf = (store: SoftTokens) => join(store.directory, 'tokens');

/** Everything in the folder of the tokens: names, kinds, owners and modes. */
function treeOf(store: SoftTokens): string[] {
  const format = '%P %y %M %U:%G\\n';
  return run('find', [tokensOf(store), '-mindepth', '1', '-printf', format])
    .trim()
    .split('\n')
    .toSorted();
}

const isRoot = process.getuid?.() === 0;

describe.runIf(isRoot)('a token that is moved', () => {
  test('has the same keys, and they sign', async () => {
    const { title, facts } = await send();
    expect(title).toContain(file);
    // Six objects, the token's own, each with its lock, and the generation.
    expect(facts).toContainEqual({ name: 'Files', value: expect.stringMatching(/^15, in \d+ KiB$/) });
    await receive();
    const data = join(directory, 'data');
    writeFileSync(data, 'to be signed');
    for (const id of ['01', '02']) {
      const signature = join(directory, `${id}.signature`);
      const signing = ['--sign', '--mechanism', 'SHA256-RSA-PKCS', '--id', id];
      target.tool('HSM', ...signing, '--input-file', data, '--output-file', signature);
      // The public key of the first one, from where the token came.
      const key = join(source.directory, `${id}.pub.pem`);
      expect(run('openssl', ['dgst', '-sha256', '-verify', key, '-signature', signature, data])).toContain(
        'OK',
      );
    }
    const withoutTimes = (store: SoftTokens) => store.tool('HSM', '--list-objects').split('\n').toSorted();
    expect(withoutTimes(target)).toEqual(withoutTimes(source));
    const serials = await Promise.all(
      [source, target].map(({ env }) =>
        withModule(host, { libraryPath: SOFTHSM, env }, async (module) => {
          const token = (await module.tokens()).find(({ label }) => label === 'HSM');
          await module.login(token?.slot ?? 0, pin);
          return token?.serial;
        }),
      ),
    );
    expect(serials[0]).toBe(serials[1]);
  });

  test('comes byte by byte, with nothing beside it', async () => {
    await send();
    await receive();
    execFileSync('diff', ['--recursive', tokensOf(source), tokensOf(target)]);
    expect(treeOf(target)).toEqual(treeOf(source));
  });

  test('is one file for root alone on its way, and tells nothing', async () => {
    const before = treeOf(source);
    const events: PlanEvent[] = [];
    await send({ listen: (event) => events.push(event) });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const [folder = ''] = readdirSync(tokensOf(source));
    for (const word of ['HSM', folder, 'caSigningCert'])
      expect(readFileSync(file).includes(word)).toBe(false);
    expect(events.filter(({ type }) => type === 'step-finished')).toHaveLength(3);
    expect(lines.join('\n')).toContain(folder);
    expect(lines.join('\n')).not.toContain(PASSPHRASE);
    expect(treeOf(source)).toEqual(before);
  });

  test('belongs to the user, as the first one that SoftHSM makes', async () => {
    chmodSync(tokensOf(target), 0o2770);
    chownSync(tokensOf(target), 0, NOBODY.gid);
    await send();
    await receive({ as: { env: target.env, user: 'nobody' } });
    const owner = `${NOBODY.uid}:${NOBODY.gid}`;
    const [folder, ...files] = treeOf(target);
    expect(folder).toMatch(new RegExp(` d drwx--S--- ${owner}$`));
    expect(files.length).toBeGreaterThan(10);
    for (const one of files) expect(one).toMatch(new RegExp(` f -rw------- ${owner}$`));
  });

  test('is owned as a token beside it that the user sees', async () => {
    target.add('other');
    execFileSync('chown', ['-R', `0:${NOBODY.gid}`, tokensOf(target)]);
    execFileSync('chmod', ['-R', 'g+rwX,o=', tokensOf(target)]);
    await send();
    await receive({ as: { env: target.env, user: 'nobody' } });
    const rights = treeOf(target).map((line) => line.replace(/^\S+ /, ''));
    expect(new Set(rights)).toEqual(
      new Set([`d drwxrwx--- 0:${NOBODY.gid}`, `f -rw-rw---- 0:${NOBODY.gid}`]),
    );
  });
});

describe.runIf(isRoot)('an export is refused', () => {
  const refused = async (changes: Changes, code: string) => {
    const error = await errorOf(send(changes));
    expect(error).toMatchObject({ code, exit: 2 });
    expect(existsSync(file)).toBe(false);
    return error;
  };

  test('from a module that is not SoftHSM', async () => {
    if (!OPENSC) throw new Error('the module of OpenSC is missing');
    const { message } = await refused({ libraryPath: OPENSC }, 'token-not-softhsm');
    expect(message).toContain('OpenSC');
  });

  test('through a module in between', async () => {
    const env = { ...source.env, SHIM_LIBRARY: SOFTHSM, SHIM_MAKER: 'PKCS#11 Kit' };
    const { message } = await refused(
      { libraryPath: library(directory, 'shim'), as: { env } },
      'token-not-softhsm',
    );
    expect(message).toContain('PKCS#11 Kit');
  });

  test('of what is no module, of no path, and of no token', async () => {
    await refused({ libraryPath: library(directory, 'no-pkcs11') }, 'module-not-pkcs11');
    await refused({ libraryPath: 'libsofthsm2.so' }, 'library-path-invalid');
    await refused({ label: 'HS' }, 'token-not-found');
  });

  test('where two tokens have the label', async () => {
    target.add('twin');
    target.add('twin');
    await refused({ label: 'twin', as: { env: target.env } }, 'token-ambiguous');
  });

  test('where the folder of the token is not where the configuration says', async () => {
    target.add('HSM');
    const [folder = ''] = readdirSync(tokensOf(target));
    run('mv', [join(tokensOf(target), folder), join(tokensOf(target), 'renamed')]);
    await refused({ as: { env: target.env } }, 'token-folder-missing');
  });

  test('where something else is in the folder, a link above all', async () => {
    target.add('HSM');
    const [folder = ''] = readdirSync(tokensOf(target));
    const path = join(tokensOf(target), folder, '2cef9a67-0d14-ce90-46a7-95d716c083e9.object');
    symlinkSync('/etc/shadow', path);
    await refused({ as: { env: target.env } }, 'token-folder-strange');
    rmSync(path);
    execFileSync('mkfifo', [path]);
    await refused({ as: { env: target.env } }, 'token-folder-strange');
    rmSync(path);
    writeFileSync(join(tokensOf(target), folder, 'notes.txt'), 'x');
    const { message } = await refused({ as: { env: target.env } }, 'token-folder-strange');
    expect(message).toContain('notes.txt');
  });

  test('over something that is there, which stays as it is', async () => {
    writeFileSync(file, 'precious');
    expect(await errorOf(send())).toMatchObject({ code: 'output-file-exists', exit: 2 });
    expect(readFileSync(file, 'utf8')).toBe('precious');
    const link = `${file}.link`;
    symlinkSync('/nowhere', link);
    expect(await errorOf(send({ file: link }))).toMatchObject({ code: 'output-file-exists' });
  });

  test('into a folder that is not there', () => refused({ file: '/nowhere/x' }, 'output-file-unusable'));

  test('once it is interrupted', async () => {
    const abort = new AbortController();
    const on = openHost(host.log, abort.signal);
    const listen = (event: PlanEvent) => {
      if (event.type === 'step-started' && event.id === 'file') abort.abort();
    };
    expect(await errorOf(send({ on, listen }))).toMatchObject({ code: 'interrupted', exit: 130 });
    expect(existsSync(file)).toBe(false);
  });
});

describe.runIf(isRoot)('an import is refused', () => {
  const refused = async (changes: Changes, code: string, exit = 2) => {
    const before = treeOf(target);
    const error = await errorOf(receive(changes));
    expect(error).toMatchObject({ code, exit });
    expect(treeOf(target)).toEqual(before);
    return error;
  };

  test('with another passphrase, or of a file that was changed, cut off, or is another', async () => {
    await send();
    await refused({ passphrase: new Secret('battery-staple', 'passphrase') }, 'token-file-unreadable');
    const bytes = readFileSync(file);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 0x10;
    const changed = `${file}.changed`;
    writeFileSync(changed, bytes);
    await refused({ file: changed }, 'token-file-unreadable');
    writeFileSync(changed, readFileSync(file).subarray(0, -1));
    await refused({ file: changed }, 'token-file-unreadable');
    await refused({ file: '/etc/passwd' }, 'token-file-unreadable');
    await refused({ file: directory }, 'token-file-unreadable');
    await refused({ file: '/nowhere/x' }, 'token-file-missing');
  });

  test('into a module that is not SoftHSM', async () => {
    await send();
    await refused({ libraryPath: OPENSC ?? '' }, 'token-not-softhsm');
    const env = { ...target.env, SHIM_LIBRARY: SOFTHSM, SHIM_MAKER: 'Example Corp' };
    await refused({ libraryPath: library(directory, 'shim'), as: { env } }, 'token-not-softhsm');
  });

  test('where the same token is', async () => {
    await send();
    await receive();
    const { message } = await refused({}, 'token-exists');
    expect(message).toContain('serial');
  });

  test('where another token has the label, also one that the user does not see', async () => {
    await send();
    target.add('HSM');
    const { message } = await refused({}, 'token-exists');
    expect(message).toContain('label HSM');
    // Of mode 0700 and root's.
    await refused({ as: { env: target.env, user: 'nobody' } }, 'token-exists');
  });

  test('where SoftHSM keeps its tokens in another form', async () => {
    const database = { path: 'sqlite3.db', content: Buffer.from('SQLite format 3'), modified: new Date(0) };
    const folder = 'ea6fe1a6-e0eb-5a72-790c-12907a59b71f';
    const facts = { label: 'HSM', serial: '790c12907a59b71f', folder, backend: 'db' as const };
    writeFileSync(file, await sealToken({ ...facts, files: [database] }, passphrase));
    const { message } = await refused({}, 'token-backend-differs');
    expect(message).toContain(target.env.SOFTHSM2_CONF);
  });

  test('once it is interrupted', async () => {
    await send();
    const abort = new AbortController();
    const on = openHost(host.log, abort.signal);
    const listen = (event: PlanEvent) => {
      if (event.type === 'step-started' && event.id === 'write') abort.abort();
    };
    await refused({ on, listen }, 'interrupted', 130);
  });
});

describe.runIf(isRoot)('an import that fails leaves nothing', () => {
  test('where the user does not see the token', async () => {
    await send();
    const listen = (event: PlanEvent) => {
      if (event.type === 'step-started' && event.id === 'write') chmodSync(tokensOf(target), 0o700);
    };
    const error = await errorOf(receive({ listen, as: { env: target.env, user: 'nobody' } }));
    expect(error.code).toBe('module-init-failed');
    expect(lines.join('\n')).toContain('was removed again');
    expect(readdirSync(tokensOf(target))).toEqual([]);
  });

  test('where it is interrupted when the token is in its place', async () => {
    await send();
    const abort = new AbortController();
    const write = (text: string) => {
      if (/^the token HSM, .* is in /.test(text)) {
        expect(readdirSync(tokensOf(target))).toHaveLength(1);
        abort.abort();
      }
      lines.push(text);
    };
    const on = openHost({ ...host.log, write }, abort.signal);
    expect(await errorOf(receive({ on }))).toMatchObject({ exit: 130 });
    expect(readdirSync(tokensOf(target))).toEqual([]);
  });

  test('where it cannot be written', async () => {
    await send();
    const small = join(directory, `small-${round}`);
    mkdirSync(small);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8k', 'tmpfs', small]);
    try {
      const configuration = join(target.directory, 'small.conf');
      writeFileSync(configuration, `directories.tokendir = ${small}\n`);
      const error = await errorOf(receive({ as: { env: { SOFTHSM2_CONF: configuration } } }));
      expect(error).toMatchObject({ code: 'token-not-written', exit: 1 });
      expect(error.message).toContain('ENOSPC');
      expect(readdirSync(small)).toEqual([]);
    } finally {
      execFileSync('umount', [small]);
    }
  });

  test('of a run that was killed, either', async () => {
    await send();
    const stage = join(tokensOf(target), '.capstan-import-0123456789abcdef');
    const [folder = ''] = readdirSync(tokensOf(source));
    mkdirSync(stage);
    execFileSync('cp', ['-r', join(tokensOf(source), folder), stage]);
    expect(run('pkcs11-tool', ['--module', SOFTHSM, '-L'], target.env)).not.toContain('token label');
    await receive();
    expect(readdirSync(tokensOf(target))).toEqual([folder]);
  });
});
