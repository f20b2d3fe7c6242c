/** That a cluster is one: certificates of each server are good on all, and what is written on each is on all. */
import { expect } from 'vitest';
import { verdict } from './certificates.ts';
import { fqdn, ldapmodify, ldapsearch, SUFFIXES, until, valuesOf } from './hosts.ts';

/** Seconds within which what is written on one server is on all; replication takes one or two. */
export const SOON = 20;

/** The verdicts of hosts on certificates once all of them are good, or those of the last look. */
async function judged(serials: readonly string[], hosts: readonly string[], seconds = SOON) {
  const look = async () =>
    Promise.all(hosts.map(async (host) => Promise.all(serials.map((serial) => verdict(host, serial)))));
  const { found } = await until(seconds, look, (all) => all.flat().every((word) => word === 'good'));
  return found.flat();
}

/** All certificates are good on all hosts, soon or within the seconds given. */
export async function expectGood(serials: readonly string[], hosts: readonly string[], seconds = SOON) {
  expect(await judged(serials, hosts, seconds)).toEqual(hosts.flatMap(() => serials.map(() => 'good')));
}

/** The agreements of a host, `dc=example,dc=test to ca2.example.test`, and the state of their last update. */
export async function agreements(host: string): Promise<Record<string, string>> {
  const found = await ldapsearch(
    host,
    'cn=mapping tree,cn=config',
    "'(objectClass=nsDS5ReplicationAgreement)' nsDS5ReplicaRoot nsDS5ReplicaHost nsDS5ReplicaPort nsDS5ReplicaTransportInfo nsds5replicaLastUpdateStatus",
  );
  return Object.fromEntries(
    found
      .split('\n\n')
      .filter((entry) => entry.trim() !== '')
      .map((entry) => {
        const one = (name: string) => valuesOf(entry, name)[0] ?? '';
        const status = /^Error \((-?\d+)\)/.exec(one('nsds5replicaLastUpdateStatus'))?.[1] ?? 'none';
        const way = `${one('nsDS5ReplicaTransportInfo')} ${one('nsDS5ReplicaPort')}`;
        return [`${one('nsDS5ReplicaRoot')} to ${one('nsDS5ReplicaHost')}`, `${way}: ${status}`];
      }),
  );
}

/** What {@link agreements} must be for a host with these peers. */
export function agreed(
  peers: readonly string[],
  suffixes: readonly string[] = SUFFIXES,
): Record<string, string> {
  return Object.fromEntries(
    suffixes.flatMap((suffix) => peers.map((peer) => [`${suffix} to ${fqdn(peer)}`, 'LDAPS 636: 0'])),
  );
}

/** Writes on each host and reads on all others, in both suffixes. */
export async function expectReplicated(hosts: readonly string[], suffixes: readonly string[] = SUFFIXES) {
  for (const suffix of suffixes) {
    for (const writer of hosts) {
      const name = `written-on-${writer}`;
      await ldapmodify(
        writer,
        `dn: cn=${name},${suffix}\nchangetype: add\nobjectClass: nsContainer\ncn: ${name}\n`,
      );
    }
    const names = hosts.map((host) => `written-on-${host}`);
    for (const reader of hosts) {
      const look = async () => valuesOf(await ldapsearch(reader, suffix, "'(cn=written-on-*)' cn"), 'cn');
      const { found } = await until(SOON, look, (all) => all.length === names.length);
      expect([suffix, reader, found.toSorted()]).toEqual([suffix, reader, names]);
    }
    for (const writer of hosts) {
      await ldapmodify(writer, `dn: cn=written-on-${writer},${suffix}\nchangetype: delete\n`);
    }
  }
}

/** Whether the last update over every agreement was a success. */
export function healthy(all: Record<string, string>): boolean {
  return Object.values(all).every((one) => one.endsWith(': 0'));
}
