/** An authority made of openssl(1) that certifies a CA, well or badly. */

import { execFileSync } from 'node:child_process';
import { createPublicKey, type KeyObject, sign, X509Certificate } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Who issues, or is issued to: a name, a key, and the certificate where there is one. */
export interface Party {
  name: string;
  subject: string;
  key: string;
}

/** What may be different from a good certificate of a CA. */
export interface Wish {
  /** Lines of an openssl configuration; `undefined` leaves an extension out. */
  basicConstraints?: string | undefined;
  keyUsage?: string | undefined;
  more?: string[];
  digest?: string;
  /** As openssl takes it: YYYYMMDDHHMMSSZ. */
  from?: string;
  to?: string;
  serial?: string;
}

export interface Authority {
  file(name: string): string;
  bytes(name: string): Buffer;
  openssl(...words: string[]): string;
  party(name: string, subject: string, key?: string[]): Party;
  /** The certificate of `party` by `issuer`, in `NAME.crt`; by itself where that is the same one. */
  certify(party: Party, issuer: Party, name?: string, wish?: Wish): X509Certificate;
  publicKey(party: Party): KeyObject;
  /** The certificate in a file. */
  certificate(name: string): X509Certificate;
  /** A signature with SHA-256 by the key of a party. */
  sign(party: Party, bytes: Buffer): Buffer;
}

/** @param folder a new one, for the files */
export function authority(folder: string): Authority {
  mkdirSync(folder, { recursive: true });
  const file = (name: string) => join(folder, name);
  const openssl = (...words: string[]) =>
    execFileSync('openssl', words, { stdio: 'pipe', encoding: 'utf8', cwd: folder });
  const self: Authority = {
    file,
    bytes: (name) => readFileSync(file(name)),
    openssl,
    party(name, subject, key = ['EC', '-pkeyopt', 'ec_paramgen_curve:P-256']) {
      openssl('genpkey', '-algorithm', ...key, '-out', `${name}.key`);
      return { name, subject, key: `${name}.key` };
    },
    certify(party, issuer, name = party.name, wish = {}) {
      writeFileSync(file('ca.cnf'), configuration(wish));
      writeFileSync(file('index.txt'), '');
      writeFileSync(file('serial'), `${wish.serial ?? '1000'}\n`);
      openssl('req', '-new', '-config', 'ca.cnf', '-key', party.key, '-subj', party.subject, '-out', 'x.csr');
      const by = party === issuer ? ['-selfsign'] : ['-cert', `${issuer.name}.crt`];
      openssl(
        ...['ca', '-batch', '-notext', '-config', 'ca.cnf', '-keyfile', issuer.key, ...by],
        ...['-in', 'x.csr', '-out', `${name}.crt`, '-md', wish.digest ?? 'sha256'],
        ...['-startdate', wish.from ?? '20250101000000Z', '-enddate', wish.to ?? '20450101000000Z'],
      );
      return new X509Certificate(readFileSync(file(`${name}.crt`)));
    },
    publicKey: ({ key }) => createPublicKey(readFileSync(file(key))),
    certificate: (name) => new X509Certificate(readFileSync(file(name))),
    sign: ({ key }, bytes) => sign('sha256', bytes, readFileSync(file(key))),
  };
  return self;
}

function configuration(wish: Wish): string {
  const {
    basicConstraints = 'critical,CA:TRUE',
    keyUsage = 'critical,keyCertSign,cRLSign',
    more = [],
  } = wish;
  const isLeftOut = (name: keyof Wish) => name in wish && wish[name] === undefined;
  return [
    '[ca]\ndefault_ca=x\n[x]',
    'database=index.txt\nserial=serial\nnew_certs_dir=.\npolicy=p\nunique_subject=no',
    'x509_extensions=e\npreserve=yes\n[p]\norganizationName=optional\ncommonName=optional\n[e]',
    ...(isLeftOut('basicConstraints') ? [] : [`basicConstraints=${basicConstraints}`]),
    ...(isLeftOut('keyUsage') ? [] : [`keyUsage=${keyUsage}`]),
    ...more,
    'subjectKeyIdentifier=hash',
    '[req]\ndistinguished_name=d\n[d]\n',
  ].join('\n');
}
