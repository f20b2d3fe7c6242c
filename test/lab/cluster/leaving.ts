/** Roles that move, and servers that leave. */
import { describe, expect, test } from 'vitest';
import { changes, type HostState } from '../inventory.ts';
import { sh, unwell } from '../support.ts';
import { issue } from './certificates.ts';
import { capstan, fqdn, ldapmodify, ldapsearch, SUFFIXES, succeeds, until, valuesOf } from './hosts.ts';
import { expectPeer, type PeerState, peerState } from './peers.ts';
import { expectGood } from './proofs.ts';
import { look, PLACES_OF_SECRETS, secretsOf } from './remains.ts';

const MASTERS = `cn=masters,cn=ipa,cn=etc,${SUFFIXES[0]}`;

/** Which hosts generate CRLs by their configuration. */
async function crlGenerators(hosts: readonly string[]): Promise<string[]> {
  const found = await Promise.all(
    hosts.map((host) =>
      sh(
        host,
        'sed -n s/^ca.crl.MasterCRL.enableCRLUpdates=//p /etc/pki/pki-tomcat/ca/CS.cfg 2>/dev/null || true',
      ),
    ),
  );
  return hosts.filter((_, index) => found[index] === 'true\n');
}

/**
 * Registers the tests. The hosts are servers with a CA, each but the first joined to the one before it.
 * @param known what the second server knew of others before the third had joined, and the third host before it did
 */
export function leavingTests(
  hosts: readonly string[],
  known: () => { couple: PeerState; blank: HostState },
): void {
  describe('roles and leaving', () => {
    const leave = (host: string, ...more: string[]) => capstan(host, ['uninstall', '--unattended', ...more]);

    test('the renewal master and the generator of CRLs do not leave', async () => {
      const { exit, last } = await leave('ca1');
      expect([exit, last.failures?.map(({ code }) => code)]).toEqual([
        2,
        ['renewal-master', 'crl-generator'],
      ]);
      expect(await unwell('ca1')).toEqual([]);
    });

    test('the server does not leave through which others hear of each other', async () => {
      const { exit, last } = await leave('ca2');
      expect([exit, last.failures?.map(({ code }) => code)]).toEqual([2, ['topology-cut', 'topology-cut']]);
      expect(JSON.stringify(last.failures)).toContain(`topology add ${fqdn('ca1')} ${fqdn('ca3')}`);
    });

    test('the last CA does not leave servers that have none', async () => {
      const others = await ldapsearch('ca1', MASTERS, "'(&(cn=CA)(!(ipaConfigString=caRenewalMaster)))'");
      const deletions = valuesOf(others, 'dn').map((dn) => `dn: ${dn}\nchangetype: delete\n`);
      expect(deletions).toHaveLength(2);
      await ldapmodify('ca1', deletions.join('\n'));
      try {
        const { exit, last } = await leave('ca1');
        expect([exit, last.failures?.map(({ code }) => code)]).toEqual([2, ['last-ca']]);
      } finally {
        await ldapmodify('ca1', others.replaceAll(/^dn: .*$/gm, '$&\nchangetype: add'));
      }
    });

    test('a server that leaves takes all that its peers know of it, and leaves its host as it was', async () => {
      await succeeds('ca3', ['uninstall', '--unattended']);
      await expectPeer('ca2', known().couple);
      expect(changes(known().blank, await look('ca3'))).toEqual([]);
      expect(await unwell('ca2')).toEqual([]);
    });

    test('roles move, and there is one of each at any time', async () => {
      await succeeds('ca2', ['role', 'move', 'renewal-master', fqdn('ca2')]);
      for (const host of ['ca1', 'ca2']) await succeeds(host, ['role', 'move', 'crl', fqdn('ca2')]);
      expect(await crlGenerators(hosts)).toEqual(['ca2']);
      const marks = await ldapsearch('ca1', MASTERS, "'(ipaConfigString=caRenewalMaster)' dn");
      expect(valuesOf(marks, 'dn')).toEqual([
        `cn=CA,cn=${fqdn('ca2')},cn=masters,cn=ipa,cn=etc,${SUFFIXES[0]}`,
      ]);
      for (const host of ['ca1', 'ca2']) {
        expect([host, await unwell(host)]).toEqual([host, []]);
        expect([host, await secretsOf(host)]).toEqual([host, PLACES_OF_SECRETS]);
      }
    });

    test('the first server leaves, now that its roles have moved', async () => {
      await succeeds('ca1', ['uninstall', '--unattended']);
      const left = async () =>
        Object.values(await peerState('ca2'))
          .flat()
          .filter((line) => line.includes(fqdn('ca1')) || line.includes(fqdn('ca3')));
      expect((await until(30, left, (lines) => lines.length === 0)).found).toEqual([]);
      expect(await sh('ca2', 'sed -n s/^securitydomain.host=//p /etc/pki/pki-tomcat/ca/CS.cfg')).toBe(
        `${fqdn('ca2')}\n`,
      );
      expect(await unwell('ca2')).toEqual([]);
      await expectGood(await issue('ca2'), ['ca2']);
    });
  });
}
