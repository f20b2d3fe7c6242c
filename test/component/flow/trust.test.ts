/** How a server is trusted, against a TLS server with certificates made by openssl(1); it keeps all that it is sent. */
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createServer, type Server } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { withRemoteDirectory } from '../../../src/directory/remote.ts';
import type { CapstanError } from '../../../src/errors.ts';
import { type CaFacts, fingerprintOf, type TrustSource, trustedCa } from '../../../src/flow/trust.ts';
import { openHost } from '../../../src/host/host.ts';
import { noLog } from '../../../src/host/log.ts';
import { Secret } from '../../../src/secret/secret.ts';
import { removeWorkspace, run, workspace } from '../hsm/support.ts';

/** An address that belongs to this machine and to nobody else's test; its certificates name it. */
const HERE = '127.0.91.1';
const host = openHost(noLog, undefined, { deadlines: { ldap: 5 } });

let directory: string;
let server: Server | undefined;
let received: Buffer[];

const file = (name: string) => join(directory, name);
const read = (name: string) => readFileSync(file(name), 'utf8');

/** A CA with its own certificate. */
function authority(name: string): void {
  run('openssl', [
    ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/O=EXAMPLE.TEST/CN=Certificate Authority'],
    ...['-addext', 'basicConstraints=critical,CA:TRUE', '-days', '30'],
    ...['-keyout', file(`${name}.key`), '-out', file(`${name}.crt`)],
  ]);
}

/** A CA that another one has signed. */
function subordinate(name: string, by: string): void {
  writeFileSync(file('extensions'), 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n');
  run('openssl', [
    ...['req', '-newkey', 'rsa:2048', '-nodes', '-subj', `/O=EXAMPLE.TEST/CN=${name}`],
    ...['-keyout', file(`${name}.key`), '-out', file(`${name}.csr`)],
  ]);
  run('openssl', [
    ...['x509', '-req', '-in', file(`${name}.csr`), '-CA', file(`${by}.crt`), '-CAkey', file(`${by}.key`)],
    ...['-days', '30', '-extfile', file('extensions'), '-out', file(`${name}.crt`)],
  ]);
}

/** A certificate for an address, by an authority. */
function certificate(name: string, by: string, address = HERE): void {
  writeFileSync(file('extensions'), `subjectAltName=IP:${address}\n`);
  run('openssl', [
    ...['req', '-newkey', 'rsa:2048', '-nodes', '-subj', `/O=EXAMPLE.TEST/CN=${address}`],
    ...['-keyout', file(`${name}.key`), '-out', file(`${name}.csr`)],
  ]);
  run('openssl', [
    ...['x509', '-req', '-in', file(`${name}.csr`), '-CA', file(`${by}.crt`), '-CAkey', file(`${by}.key`)],
    ...['-days', '30', '-extfile', file('extensions'), '-out', file(`${name}.crt`)],
  ]);
}

/** Serves TLS where LDAPS is. @param chain the certificates that are shown, the server's own first */
async function serve(name: string, ...chain: string[]): Promise<void> {
  received = [];
  const cert = [name, ...chain].map((one) => read(`${one}.crt`)).join('');
  server = createServer({ cert, key: read(`${name}.key`) }, (socket) => {
    socket.on('error', () => {});
    socket.on('data', (data: Buffer) => received.push(data));
  });
  server.on('tlsClientError', () => {});
  server.listen(636, HERE);
  await once(server, 'listening');
}

beforeAll(() => {
  directory = workspace();
  authority('ca');
  authority('other');
  certificate('server', 'ca');
  certificate('elsewhere', 'ca', '127.0.91.2');
});
afterEach(async () => {
  server?.close();
  server = undefined;
});
afterAll(() => removeWorkspace(directory));

/** The error of a source that is not good enough. */
async function refused(source: TrustSource): Promise<CapstanError> {
  const error = await trustedCa(host, HERE, source).then(
    () => undefined,
    (thrown: CapstanError) => thrown,
  );
  expect(error).toMatchObject({ exit: 2, next: expect.stringMatching(/\S/) });
  return error as CapstanError;
}

const fingerprint = (name: string) => fingerprintOf(new X509Certificate(read(`${name}.crt`)));
const pem = (name: string) => new X509Certificate(read(`${name}.crt`)).toString();

describe('a CA certificate', () => {
  test('has the fingerprint that openssl(1) tells', () => {
    const told = run('openssl', ['x509', '-in', file('ca.crt'), '-noout', '-fingerprint', '-sha256']);
    const hex = told.trim().split('=')[1]?.replaceAll(':', '').toLowerCase();
    expect(fingerprint('ca')).toBe(`sha256:${hex}`);
  });

  test('is taken from a file, PEM or DER, alone or with certificates that are no CA’s', async () => {
    await serve('server', 'ca');
    run('openssl', ['x509', '-in', file('ca.crt'), '-outform', 'DER', '-out', file('ca.der')]);
    writeFileSync(file('both.crt'), read('server.crt') + read('ca.crt'));
    for (const name of ['ca.crt', 'ca.der', 'both.crt']) {
      expect([name, await trustedCa(host, HERE, { file: file(name) })]).toEqual([name, pem('ca')]);
    }
    expect(received).toEqual([]);
  });

  test('that another authority has signed is the anchor, and that authority is not', async () => {
    subordinate('below', 'ca');
    certificate('member', 'below');
    await serve('member', 'below', 'ca');
    writeFileSync(file('chain.crt'), read('below.crt') + read('ca.crt'));
    expect(await trustedCa(host, HERE, { file: file('chain.crt') })).toBe(pem('below'));
    expect(await trustedCa(host, HERE, { fingerprint: fingerprint('below') })).toBe(pem('below'));
    const shown: CaFacts[] = [];
    const source = { confirm: async (found: CaFacts) => shown.push(found) > 0 };
    expect(await trustedCa(host, HERE, source)).toBe(pem('below'));
    expect(shown.map((one) => one.fingerprint)).toEqual([fingerprint('below')]);
    server?.close();
    await serve('server', 'ca');
    const error = await refused({ file: file('chain.crt') });
    expect(error.code).toBe('directory-untrusted');
    expect(received).toEqual([]);
  });

  test('is fetched and compared with a fingerprint', async () => {
    await serve('server', 'ca');
    expect(await trustedCa(host, HERE, { fingerprint: fingerprint('ca') })).toBe(pem('ca'));
    expect(received).toEqual([]);
  });

  test('is fetched and shown to a person', async () => {
    await serve('server', 'ca');
    const shown: CaFacts[] = [];
    const source = { confirm: async (found: CaFacts) => shown.push(found) > 0 };
    expect(await trustedCa(host, HERE, source)).toBe(pem('ca'));
    expect(shown).toEqual([
      expect.objectContaining({
        subject: 'CN=Certificate Authority,O=EXAMPLE.TEST',
        fingerprint: fingerprint('ca'),
      }),
    ]);
    expect(received).toEqual([]);
  });
});

describe('nothing is sent to a server', () => {
  afterEach(() => expect(received).toEqual([]));

  test('of another fingerprint, which is told', async () => {
    await serve('server', 'ca');
    const error = await refused({ fingerprint: fingerprint('other') });
    expect(error.code).toBe('ca-fingerprint-mismatch');
    expect(error.message).toContain(fingerprint('ca'));
    expect(error.message).toContain(fingerprint('other'));
  });

  test('whose own certificate, which is no CA’s, has the fingerprint', async () => {
    await serve('server', 'ca');
    expect((await refused({ fingerprint: fingerprint('server') })).code).toBe('ca-fingerprint-mismatch');
  });

  test('that shows a CA certificate which did not issue its own', async () => {
    authority('self');
    certificate('impostor', 'self');
    await serve('impostor', 'ca');
    for (const source of [{ fingerprint: fingerprint('ca') }, { confirm: async () => true }]) {
      expect((await refused(source)).code).toMatch(
        /^(?:ca-certificate-not-shown|directory-untrusted|ca-fingerprint-mismatch)$/,
      );
    }
  });

  test('that a person does not confirm', async () => {
    await serve('server', 'ca');
    expect((await refused({ confirm: async () => false })).code).toBe('ca-not-confirmed');
  });

  test('of another CA of the same name than that in the file', async () => {
    await serve('server', 'ca');
    const error = await refused({ file: file('other.crt') });
    expect(error.code).toBe('directory-untrusted');
    expect(error.message).toContain(HERE);
  });

  test('whose certificate is for another name', async () => {
    await serve('elsewhere', 'ca');
    expect((await refused({ file: file('ca.crt') })).code).toBe('directory-untrusted');
  });

  test('that shows its own certificate alone', async () => {
    await serve('server');
    expect((await refused({ fingerprint: fingerprint('ca') })).code).toBe('ca-certificate-not-shown');
    expect((await refused({ confirm: async () => true })).code).toBe('ca-certificate-not-shown');
    expect(await trustedCa(host, HERE, { file: file('ca.crt') })).toBe(pem('ca'));
  });

  test('by a certificate whose time is not now', async () => {
    run('openssl', [
      ...['x509', '-in', file('ca.crt'), '-signkey', file('ca.key'), '-days', '-1', '-out', file('past.crt')],
    ]);
    await serve('server', 'ca');
    expect((await refused({ file: file('past.crt') })).code).toBe('ca-certificate-expired');
  });

  test('by a file that is not there, no file, no certificate, no CA’s, or one of two CAs', async () => {
    await serve('server', 'ca');
    writeFileSync(file('text'), 'no certificate\n');
    writeFileSync(file('broken.crt'), read('ca.crt').replace(/\n.{20}/, '\n'));
    writeFileSync(file('two.crt'), read('ca.crt') + read('other.crt'));
    for (const name of ['none.crt', '.', 'text', 'broken.crt', 'server.crt', 'two.crt']) {
      const error = await refused({ file: file(name) });
      expect([name, error.code]).toEqual([name, 'ca-certificate-unreadable']);
    }
  });

  test('that is not trusted, of a password, by a connection that has one', async () => {
    await serve('server', 'ca');
    const password = new Secret('The-Managers-Pass-1', 'Directory Manager password');
    const as = { dn: 'cn=Directory Manager', password };
    for (const [hostname, ca] of [
      [HERE, 'other'],
      [HERE, 'server'],
    ] as const) {
      const remote = withRemoteDirectory(host, { hostname, caCertificate: pem(ca), as }, async () => {});
      await expect(remote).rejects.toMatchObject({ code: 'directory-untrusted' });
    }
  });
});

test('a password is sent to a server that is trusted: the other tests would see one', async () => {
  await serve('server', 'ca');
  const password = new Secret('The-Managers-Pass-1', 'Directory Manager password');
  const hurried = openHost(noLog, undefined, { deadlines: { ldap: 1 } });
  const remote = withRemoteDirectory(
    hurried,
    { hostname: HERE, caCertificate: pem('ca'), as: { dn: 'cn=Directory Manager', password } },
    async () => {},
  );
  await expect(remote).rejects.toMatchObject({
    code: 'directory-unreachable',
    message: expect.stringContaining('silent to "bind"'),
  });
  expect(Buffer.concat(received).includes('The-Managers-Pass-1')).toBe(true);
});

test('where nobody listens nothing is trusted', async () => {
  expect((await refused({ fingerprint: `sha256:${'0'.repeat(64)}` })).code).toBe('directory-unreachable');
});
