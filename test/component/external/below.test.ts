/** What Capstan makes of a CA that stands below another authority, once it is installed. */

import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fromElsewhere, isFromElsewhere } from '../../../src/flow/renewal/cluster.ts';
import { chainOf } from '../../../src/flow/steps/record.ts';
import { isIssuedBy } from '../../../src/health/checks/certificates.ts';
import { pemCertificates } from '../../../src/names/pem.ts';
import { type Authority, authority } from './authority.ts';

let folder: string;
let root: X509Certificate;
let middle: X509Certificate;
let ca: X509Certificate;
let impostor: X509Certificate;
let leaf: X509Certificate;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'capstan-below-'));
  const at: Authority = authority(folder);
  const [one, two, three, four, five] = [
    at.party('root', '/O=Corp/CN=Corp Root'),
    at.party('middle', '/O=Corp/CN=Corp Issuing'),
    at.party('ca', '/O=EXAMPLE.TEST/CN=Certificate Authority'),
    at.party('impostor', '/O=Corp/CN=Corp Issuing'),
    at.party('leaf', '/O=EXAMPLE.TEST/CN=OCSP Subsystem'),
  ];
  root = at.certify(one, one);
  middle = at.certify(two, one, 'middle', { serial: '2000' });
  ca = at.certify(three, two, 'ca', { serial: '3000' });
  impostor = at.certify(four, one, 'impostor', { serial: '2001' });
  leaf = at.certify(five, three, 'leaf', { serial: '01', basicConstraints: 'CA:FALSE' });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the chain that a replica keeps', () => {
  const chain = (own: X509Certificate, others: X509Certificate[]) =>
    pemCertificates(
      chainOf(
        own.toString(),
        others.map(({ raw }) => raw),
      ),
    ).map((pem) => new X509Certificate(pem).serialNumber);

  test('is the CA and those above it in their order, whatever else is published', () => {
    expect(chain(ca, [root, impostor, ca, middle])).toEqual(
      [ca, middle, root].map((one) => one.serialNumber),
    );
  });

  test('leaves out one of the right name that did not sign', () => {
    expect(chain(ca, [impostor, root])).toEqual([ca.serialNumber]);
  });

  test('is the CA alone where it signed itself', () => {
    expect(chain(root, [root, middle])).toEqual([root.serialNumber]);
  });
});

describe('the certificate of the CA', () => {
  test('is renewed by who issued it', () => {
    expect([root, middle, ca, leaf].map(isFromElsewhere)).toEqual([false, true, true, false]);
    const refused = fromElsewhere(ca);
    expect(refused).toMatchObject({ code: 'renewal-external', exit: 2 });
    expect(refused.message).toContain('O=Corp,CN=Corp Issuing');
  });

  test('counts as the CA’s own in a look at what it issued', () => {
    const encoded = (one: X509Certificate) => one.raw.toString('base64');
    expect([ca, leaf, middle, root].map((one) => isIssuedBy(ca, encoded(one)))).toEqual([
      ...[true, true, false, false],
    ]);
  });
});
