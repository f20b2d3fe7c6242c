import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  bridgeNamespace,
  machineName,
  octetFor,
  requireHostName,
  requireLabName,
  requireSnapshotName,
  requireTokenName,
} from '../../../src/lab/names.ts';

const hostName = fc.stringMatching(/^[a-z][a-z0-9]{0,14}$/);
const labName = fc.stringMatching(/^[a-z][a-z0-9-]{0,10}$/);

describe('addresses', () => {
  test('of ca1, ca2 and so on are easy to remember', () => {
    expect([octetFor('ca1', new Set()), octetFor('ca99', new Set())]).toEqual([11, 109]);
  });

  test('are distinct and usable, however many hosts are added in whatever order', () => {
    fc.assert(
      fc.property(fc.uniqueArray(hostName, { maxLength: 60 }), (names) => {
        const taken = new Set<number>();
        for (const name of names) {
          const octet = octetFor(name, taken);
          expect(octet).toBeGreaterThan(10);
          expect(octet).toBeLessThan(250);
          expect(taken).not.toContain(octet);
          taken.add(octet);
        }
      }),
    );
  });

  test('of other hosts follow from their name alone', () => {
    expect(octetFor('hsm1', new Set())).toBe(137);
    expect(octetFor('hsm1', new Set([137]))).toBe(138);
  });

  test('run out with a refusal', () => {
    const all = new Set(Array.from({ length: 140 }, (_, index) => 110 + index));
    expect(() => octetFor('web', all)).toThrow(expect.objectContaining({ code: 'lab-full', exit: 2 }));
  });
});

describe('names on the machine', () => {
  test('of two labs never meet, nor one as the beginning of the other', () => {
    fc.assert(
      fc.property(labName, hostName, labName, hostName, (lab, host, otherLab, otherHost) => {
        fc.pre(lab !== otherLab);
        expect(machineName(lab, host)).not.toBe(machineName(otherLab, otherHost));
        expect(machineName(lab, host).startsWith(`${bridgeNamespace(otherLab)}.`)).toBe(false);
      }),
    );
  });

  test('fit into a host name of the kernel', () => {
    expect(machineName('abcdefghijk', 'abcdefghijklmno').length).toBeLessThanOrEqual(64);
  });
});

describe('names that cannot be used are refused', () => {
  test.each(['', 'Lab', '1lab', 'lab_1', 'lab.1', '../x', 'abcdefghijkl'])('lab %j', (name) => {
    expect(() => requireLabName(name)).toThrow(expect.objectContaining({ code: 'bad-lab-name', exit: 2 }));
  });

  test.each(['', 'CA1', '1ca', 'ca-1', 'ca1.example.test', '-x', 'abcdefghijklmnop'])('host %j', (name) => {
    expect(() => requireHostName(name)).toThrow(expect.objectContaining({ code: 'bad-host-name', exit: 2 }));
  });

  test.each(['', '.', '..', '.hidden', 'a/b', '-x'])('snapshot %j', (name) => {
    expect(() => requireSnapshotName(name)).toThrow(expect.objectContaining({ code: 'bad-snapshot-name' }));
  });

  test.each(['', ' x', 'x ', 'a:b', 'a;b', 'a=b', 'a\nb', 'ä'.repeat(17)])('token %j', (name) => {
    expect(() => requireTokenName(name)).toThrow(
      expect.objectContaining({ code: 'bad-token-name', exit: 2 }),
    );
  });

  test('and others are taken', () => {
    expect(requireLabName('ci-2')).toBe('ci-2');
    expect(requireHostName('ca1')).toBe('ca1');
    expect(requireSnapshotName('2026-11-22_after.install')).toBe('2026-11-22_after.install');
    expect(requireTokenName('my token ä')).toBe('my token ä');
  });
});
