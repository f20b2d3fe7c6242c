/** A cluster that is cut, and one whose first server lost its power. */
import { describe, expect, test } from 'vitest';
import { unwell } from '../support.ts';
import { issue, verdict } from './certificates.ts';
import { capstan, cut, fqdn, heal, power, succeeds, until } from './hosts.ts';
import { expectPeer, peerState } from './peers.ts';
import { agreed, agreements, expectGood, expectReplicated, healthy, SOON } from './proofs.ts';

/** Seconds after a cut is healed: 389-ds waits longer after each try that failed. */
const AFTER_A_CUT = 120;

/** Registers the tests. The hosts are servers with a CA, each but the first joined to the one before it; so they are afterwards. */
export function troubleTests(hosts: readonly string[]): void {
  describe('the cluster in trouble', () => {
    test('cut between two servers serves on both sides, tells it, and is one again when it is healed', async () => {
      await cut('ca1', 'ca2');
      let issued: string[];
      try {
        const [one = [], other = []] = await Promise.all([issue('ca1'), issue('ca2')]);
        issued = [...one, ...other];
        await expectGood(one, ['ca1']);
        await expectGood(other, ['ca2', 'ca3']);
        expect(await verdict('ca2', one[0] ?? '')).toBe('unknown');
        expect(await verdict('ca1', other[0] ?? '')).toBe('unknown');
        const begun = performance.now();
        const { exit, output } = await capstan('ca1', ['status', '--all'], { deadline: 120 });
        expect([exit, output.includes(fqdn('ca2'))]).toEqual([1, true]);
        expect(performance.now() - begun).toBeLessThan(60_000);
      } finally {
        await heal('ca1', 'ca2');
      }
      await expectGood(issued, hosts, AFTER_A_CUT);
      await expectReplicated(hosts);
    });

    test('becomes a ring by an agreement more', async () => {
      await succeeds('ca2', ['topology', 'add', fqdn('ca1'), fqdn('ca3')]);
      for (const host of hosts) {
        const peers = hosts.filter((other) => other !== host);
        expect((await until(SOON, () => agreements(host), healthy)).found).toEqual(agreed(peers));
      }
      const { output } = await succeeds('ca1', ['topology', 'list']);
      for (const host of hosts) expect(output).toContain(fqdn(host));
    });

    test('without the first server the others issue, and tell that it is away; it catches up', async () => {
      await power('ca1', 'kill');
      let issued: string[];
      try {
        issued = (await Promise.all([issue('ca2'), issue('ca3')])).flat();
        await expectGood(issued, ['ca2', 'ca3']);
        await expectReplicated(['ca2', 'ca3']);
        const begun = performance.now();
        const { exit, output } = await capstan('ca3', ['status', '--all'], { deadline: 120 });
        expect([exit, output.includes(fqdn('ca1'))]).toEqual([1, true]);
        expect(performance.now() - begun).toBeLessThan(60_000);
      } finally {
        await power('ca1', 'on');
      }
      await expectGood(issued, hosts, 180);
      expect(
        (
          await until(
            AFTER_A_CUT,
            () => unwell('ca1'),
            (all) => all.length === 0,
          )
        ).found,
      ).toEqual([]);
    });

    test('is not cut in two by topology remove', async () => {
      await succeeds('ca1', ['topology', 'remove', fqdn('ca1'), fqdn('ca3')]);
      expect(await agreements('ca1')).toEqual(agreed(['ca2']));
      const before = await peerState('ca2');
      const { exit, last } = await capstan('ca1', ['topology', 'remove', fqdn('ca2'), fqdn('ca3')]);
      expect([exit, last.type]).toEqual([2, 'error']);
      // An agreement may have been off for a moment at either look.
      await expectPeer('ca2', before);
    });
  });
}
