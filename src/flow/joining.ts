/** How a host that joins comes to what the server that it joins gives only to those who may. */
import { type Membership, requestMembership } from '../dogtag/membership.ts';
import { joinUid } from '../dogtag/security-domain.ts';
import type { Host } from '../host/host.ts';
import { passingSecret } from '../secret/passing.ts';
import type { Secret } from '../secret/secret.ts';
import { type Peers, peersOf } from './peers.ts';
import { dogtagOf, type JoinedSite } from './site.ts';

/** What a run joins with. */
export interface Joining {
  /** The CA certificate of the cluster, PEM, trusted from the first byte on. */
  caCertificate: string;
  /** The join secret: the password of the user that this host joins as; prepared by this very run where need be. */
  secret(): Promise<Secret>;
  /** What the CA issues certificates for. */
  membership(): Promise<Membership>;
  /** The servers of the cluster, as soon as the directory of this host has its certificate. */
  peers: Peers;
}

/**
 * What a run joins with.
 * @param secret gives the join secret, or prepares the one that was drawn for it; it is asked once
 */
export function joiningWith(
  host: Host,
  site: JoinedSite,
  caCertificate: string,
  secret: (drawn: Secret) => Promise<Secret>,
): Joining {
  const known = once(() => secret(passingSecret('join secret')));
  const member = once(async () => {
    const { restPath } = await dogtagOf();
    const address = { hostname: site.supplier, caCertificate, restPath };
    const account = { user: joinUid(site.hostname), password: await known() };
    return requestMembership(host, address, account, site.hostname);
  });
  return { caCertificate, secret: known, membership: member, peers: peersOf(host, site) };
}

/** Does the work at the first call, and gives its result to all later ones. */
function once<T>(work: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined;
  return () => {
    result ??= work();
    return result;
  };
}
