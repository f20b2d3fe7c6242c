/** Certificates for tests of pure logic, made by openssl(1): self-signed, with any key, subject, serial number and time. */
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A private key, PEM. */
export function newKey(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** What a certificate is made from. */
export interface Wish {
  key: string;
  /** As openssl takes it: `/O=EXAMPLE.TEST/CN=OCSP Subsystem`. */
  subject: string;
  /** Hexadecimal, an even number of digits. */
  serial: string;
  /** Year in which it begins and year in which it ends. */
  years: readonly [number, number];
  ca?: boolean;
}

/** Makes a certificate that its own key signed. */
export function selfSigned({ key, subject, serial, years, ca = false }: Wish): X509Certificate {
  const folder = mkdtempSync(join(tmpdir(), 'capstan-test-'));
  const file = (name: string, content: string) => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };
  try {
    const keyFile = file('key.pem', key);
    file('index.txt', '');
    file('serial', `${serial}\n`);
    const config = [
      '[ca]\ndefault_ca=x\n[x]',
      `database=${folder}/index.txt\nserial=${folder}/serial\nnew_certs_dir=${folder}`,
      'policy=p\ndefault_md=sha256\nunique_subject=no\nx509_extensions=e\npreserve=yes',
      `[p]\norganizationName=optional\ncommonName=optional\n[e]\nbasicConstraints=CA:${ca ? 'TRUE' : 'FALSE'}`,
      '[req]\ndistinguished_name=d\n[d]',
    ].join('\n');
    const configFile = file('ca.cfg', config);
    const run = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe', encoding: 'utf8' });
    const request = join(folder, 'request.pem');
    run('req', '-new', '-config', configFile, '-key', keyFile, '-subj', subject, '-out', request);
    const [from, to] = years.map((year) => `${year}0101000000Z`) as [string, string];
    const times = ['-startdate', from, '-enddate', to];
    const out = join(folder, 'out.pem');
    run(
      ...['ca', '-batch', '-notext', '-selfsign', '-config', configFile, '-keyfile', keyFile],
      ...['-in', request, '-out', out, ...times],
    );
    return new X509Certificate(execFileSync('cat', [out]));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
