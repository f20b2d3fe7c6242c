import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readCrl } from '../../../src/dogtag/crl.ts';
import { openHost } from '../../../src/host/host.ts';

const folder = mkdtempSync(join(tmpdir(), 'capstan-crl-'));
const at = (name: string) => join(folder, name);

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' });
}

function authority(name: string): void {
  openssl(
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-days',
    '30',
    '-subj',
    '/O=EXAMPLE.TEST/CN=CA',
    '-keyout',
    `${name}.key`,
    '-out',
    `${name}.crt`,
  );
}

beforeAll(() => {
  for (const name of ['ca', 'other']) authority(name);
  writeFileSync(at('index.txt'), '');
  writeFileSync(at('crlnumber'), '2A\n');
  writeFileSync(
    at('ca.cnf'),
    '[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ncrlnumber=crlnumber\ndefault_md=sha256\n',
  );
  openssl(
    'ca',
    '-config',
    'ca.cnf',
    '-gencrl',
    '-crldays',
    '7',
    '-keyfile',
    'ca.key',
    '-cert',
    'ca.crt',
    '-out',
    'crl.pem',
  );
  openssl('crl', '-in', 'crl.pem', '-outform', 'DER', '-out', 'crl.der');
});

afterAll(() => rmSync(folder, { recursive: true }));

describe('a CRL', () => {
  test('is read with its number and its end when the CA signed it', async () => {
    const { number, nextUpdate } = await readCrl(openHost(), readFileSync(at('crl.der')), at('ca.crt'));
    expect(Number.parseInt(number, 16)).toBe(0x2a);
    const days = (nextUpdate.getTime() - Date.now()) / 86_400_000;
    expect(days).toBeGreaterThan(6.9);
    expect(days).toBeLessThan(7.1);
  });

  test('is refused when another CA of the same name signed it', async () => {
    const read = readCrl(openHost(), readFileSync(at('crl.der')), at('other.crt'));
    await expect(read).rejects.toMatchObject({ code: 'crl-unverified' });
  });

  test('is refused when it is none', async () => {
    const read = readCrl(openHost(), Buffer.from('no CRL at all'), at('ca.crt'));
    await expect(read).rejects.toMatchObject({ code: 'crl-unverified' });
  });
});
