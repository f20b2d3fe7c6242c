/** What a server knows of its peers: all that a replica's joining writes to it, and its leaving must take away. */
import { expect } from 'vitest';
import { changes } from '../inventory.ts';
import { sh } from '../support.ts';
import { fqdn, ldapsearch, SUFFIXES, until, valuesOf } from './hosts.ts';

/** What a server knows of others, by kind; sorted lines. */
export type PeerState = Readonly<Record<string, readonly string[]>>;

/** Attributes that change by themselves: times, counters, the states of agreements; and who wrote last. */
const VOLATILE =
  /^(modifytimestamp|createtimestamp|modifiersname|creatorsname|entryusn|entryid|parentid|nsuniqueid|numsubordinates|nsds5replicastate|nsstate|nsds5replicachangecount|nsds5replicareaprunning|nsds5replicalast\w*|nsds5replicaupdate\w*|nsds5replicachangessent\w*|nsds50ruv|nsruvreplicalastmodified|nsds5agmtmaxcsn|nsds5replicacredentials|userpassword|dncomponents|lastmodified|dateofmodify):/i;

/** Subtrees of o=ipaca where certificates, requests and CRLs stay, and ranges of numbers that were taken and are not given back. */
const GROWS = /,?ou=(certificaterepository|requests|ranges|replica|crlissuingpoints|certificaterequests),/i;

/**
 * What the first join of all adds for good: rights of all servers, whoever they are, and Dogtag's container of install
 * tokens.
 */
const ONCE = /^aci: .*acl "Capstan: servers |^dn: ou=sessions,ou=Security Domain,o=ipaca$/;

/** Looks at the directory of a host. */
export async function peerState(host: string): Promise<PeerState> {
  const config = await ldapsearch(host, 'cn=mapping tree,cn=config', "'*' aci");
  const accounts = await ldapsearch(host, 'cn=replication managers,cn=config', "'*' aci");
  const found: Record<string, string[]> = {
    configuration: [...linesOf(config), ...linesOf(accounts)],
    certmap: (await sh(host, 'cat /etc/dirsrv/slapd-EXAMPLE-TEST/certmap.conf')).split('\n'),
    // A suffix that was replicated once keeps the id of its own server.
    ids: (await replicaIds(host)).filter((line) => !line.includes(`//${fqdn(host)}:`)),
  };
  for (const suffix of SUFFIXES) found[suffix] = linesOf(await ldapsearch(host, suffix, "'*' aci"));
  return Object.fromEntries(Object.entries(found).map(([kind, lines]) => [kind, lines.toSorted()]));
}

/** A line for each value of each entry. */
function linesOf(ldif: string): string[] {
  return ldif.split('\n\n').flatMap((entry) => {
    const [dn = '', ...lines] = entry.trim().split('\n');
    if (dn === '' || GROWS.test(dn) || ONCE.test(dn)) return [];
    // The next replica id that is free goes up for good.
    const stable = lines.filter(
      (line) => !VOLATILE.test(line) && !ONCE.test(line) && !/^dn: cn=replication,/.test(dn),
    );
    return [dn, ...stable.map((line) => `${dn} | ${line}`)];
  });
}

/** The replica ids in the RUV of each suffix, as the replica itself holds it: `o=ipaca 4 ldap://ca1.example.test:389`. */
export async function replicaIds(host: string): Promise<string[]> {
  const all = await Promise.all(
    SUFFIXES.map(async (suffix) => {
      const filter = "'(&(nsuniqueid=ffffffff-ffffffff-ffffffff-ffffffff)(objectclass=nstombstone))'";
      const ruv = valuesOf(await ldapsearch(host, suffix, `${filter} nsds50ruv`), 'nsds50ruv');
      return ruv.flatMap((line) => {
        const [, id, url] = /^\{replica (\d+) (\S+?)\}/.exec(line) ?? [];
        return id ? [`${suffix} ${id} ${url}`] : [];
      });
    }),
  );
  return all.flat().toSorted();
}

/** What a server knows of others is soon as it was: what it is told by replication takes a moment. */
export async function expectPeer(host: string, before: PeerState, seconds = 30): Promise<void> {
  const look = async () => changes(before, await peerState(host));
  expect((await until(seconds, look, (lines) => lines.length === 0)).found).toEqual([]);
}
