import { expect, test } from 'vitest';
import { belongingTo } from '../../../src/hsm/inventory.ts';
import type { ObjectRef } from '../../../src/hsm/protocol.ts';

const CREATED: ObjectRef[] = [
  { class: 'private-key', id: 'aa', label: 'ocspSigningCert cert-pki-ca' },
  { class: 'public-key', id: 'aa', label: '' },
  { class: 'certificate', id: 'aa', label: 'ocspSigningCert cert-pki-ca', serial: '02' },
];

test('a renewed certificate and a key that lost its label still belong', () => {
  const now: ObjectRef[] = [
    { class: 'private-key', id: 'aa', label: '' },
    { class: 'public-key', id: 'aa', label: '' },
    { class: 'certificate', id: 'aa', label: 'ocspSigningCert cert-pki-ca', serial: '36' },
  ];
  expect(belongingTo(now, CREATED)).toEqual(now);
});

test('another CA’s objects never belong, whatever they are called', () => {
  const foreign: ObjectRef[] = [
    { class: 'private-key', id: 'bb', label: 'ocspSigningCert cert-pki-ca' },
    { class: 'certificate', id: 'bb', label: 'ocspSigningCert cert-pki-ca', serial: '02' },
    { class: 'data', id: '', label: '' },
  ];
  expect(belongingTo(foreign, CREATED)).toEqual([]);
});

test('without a private key nothing is claimed by an empty id', () => {
  expect(
    belongingTo(
      [{ class: 'secret-key', id: '', label: 'x' }],
      [{ class: 'private-key', id: '', label: 'y' }],
    ),
  ).toEqual([]);
});
