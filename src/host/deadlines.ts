import { refusal } from '../errors.ts';

/** How long one kind of work may take, and for whom that is. */
interface Deadline {
  /** Seconds unless told. */
  seconds: number;
  /** What may take so long, for people. */
  what: string;
}

/**
 * Every wait of an installation has a name here; nothing in Capstan waits without end. What was measured was measured
 * on Debian 11 (Dogtag 10.10.2, 389-ds 1.4.4, certmonger 0.79.13), the token behind a network, on two cores that
 * carried four more installations at the time.
 */
export const DEADLINES = {
  // 1.5 s at most: certutil -K over the network, and openssl with the 600,000 iterations of Dogtag's PKCS#12 file.
  command: { seconds: 60, what: 'a program that has no deadline of its own' },
  // 21 s for Tomcat, 12 s for the directory. systemd itself gives up after 90 (DefaultTimeoutStartSec), a unit may have more.
  service: { seconds: 300, what: 'the start or stop of a service by systemd' },
  // getaddrinfo(3) gives up after 5 s, twice, for each of up to three name servers (resolv.conf(5)).
  resolver: { seconds: 30, what: 'the answer of the resolver to a host name' },
  // 38 s; it starts and stops the server, and a slow disk needs minutes.
  dscreate: { seconds: 600, what: 'the creation of the directory instance' },
  // 5 s; it stops the server, which writes its databases out first.
  dsctl: { seconds: 300, what: 'the removal of the directory instance' },
  // 326 s, 117 s on an idle machine; a network HSM that makes 4096-bit keys can take many times that.
  pkispawn: { seconds: 1800, what: 'one run of pkispawn, keys on the token included' },
  // 10 s. pkispawn's own 60 (PKISPAWN_STARTUP_TIMEOUT_SECONDS) are too few for slow HSMs.
  startup: { seconds: 600, what: 'the CA, from the start of Tomcat until it answers' },
  // 3 s for a stopped instance.
  pkidestroy: { seconds: 300, what: 'the removal of the Dogtag instance' },
  // 0.4 s, 1.2 s for LDAPS; a server that recovers its databases answers late.
  ldap: { seconds: 30, what: 'one answer of the directory, over its socket or LDAPS' },
  // 3 s for a new CA; a large one has as many entries as it has issued certificates, times three.
  'replication-init': { seconds: 3600, what: 'the copying of a suffix to a new replica' },
  // 0.3 s. A server that could not be reached is tried again after half a minute at most.
  replication: { seconds: 120, what: 'a change in the directory, until it arrives on another server' },
  // 6 s. Every server of the cluster takes part, and 389-ds waits for those that are slow.
  'ruv-clean': { seconds: 120, what: 'the cluster, until it has forgotten a server that is gone' },
  // 0.6 s. Servers are asked at the same time, so that many silent ones cost no more than one.
  cluster: { seconds: 30, what: 'all that one server of the cluster is asked about itself' },
  // 0.3 s; Tomcat compiles a page when it is first asked for.
  http: { seconds: 30, what: 'one public page of the CA' },
  // 5.9 s for the first of a new CA; a signature by a slow HSM is part of some.
  rest: { seconds: 120, what: 'one request to the REST interface of the CA' },
  // 0.2 s. A CA whose HSM is silent answers nothing at all, and status waits as long.
  signature: { seconds: 60, what: 'one OCSP response of the CA, signed on the token' },
  // 3.5 s for a new request. What is slow on the token does not count: certmonger leaves it to its children.
  certmonger: { seconds: 60, what: 'one answer of certmonger on the system bus' },
  // Over when it was looked at, 30 s after the requests. A slow HSM delays it; FreeIPA waits as long.
  monitoring: { seconds: 300, what: 'certmonger, until it watches a certificate' },
  // 3 s. Two signatures by the HSM, one for the request and one by the CA, and what certmonger writes to the token.
  renewal: { seconds: 300, what: 'certmonger, until it has a renewed certificate' },
  // 0.3 s. Network HSMs answer within seconds; one that fails over to another needs tens of them.
  token: { seconds: 60, what: 'one call into the PKCS#11 library of the token' },
  // 12.6 s for 8192 bits with SoftHSM, which is a matter of luck; a small HSM takes many times that.
  keygen: { seconds: 1800, what: 'the making of the key of an offline root on its token' },
  // 1.2 s for the slowest of them. All are made at the same time.
  health: { seconds: 15, what: 'one of the looks of "capstan health"' },
} as const satisfies Readonly<Record<string, Deadline>>;

/** The name of a kind of work that has a deadline. */
export type DeadlineName = keyof typeof DEADLINES;

/** Seconds for each kind of work. */
export type Deadlines = Readonly<Record<DeadlineName, number>>;

/** The names, in the order of the table. */
export const DEADLINE_NAMES = Object.keys(DEADLINES) as DeadlineName[];

/** The longest that can be asked for: a day. */
const LONGEST = 86_400;

/** The table with some of its numbers changed. */
export function deadlinesWith(changed: Partial<Deadlines> = {}): Deadlines {
  return Object.fromEntries(
    DEADLINE_NAMES.map((name) => [name, changed[name] ?? DEADLINES[name].seconds]),
  ) as Record<DeadlineName, number>;
}

/** What gives a kind of work more time, for an error's next step. */
export function longerHint(name: DeadlineName): string {
  return `--deadline ${name}=SECONDS gives it longer`;
}

/**
 * Reads settings of the form `NAME=SECONDS`, whole seconds from 1 to 86400.
 * @throws CapstanError `deadline-invalid`
 */
export function parseDeadlines(settings: readonly string[]): Partial<Deadlines> {
  const changed: Partial<Record<DeadlineName, number>> = {};
  for (const setting of settings) {
    const [, name = '', digits = ''] = /^([a-z]+(?:-[a-z]+)*)=(\d{1,5})$/.exec(setting) ?? [];
    const seconds = Number(digits);
    if (!isDeadlineName(name)) throw invalid(setting, `the names are ${DEADLINE_NAMES.join(', ')}`);
    if (seconds < 1 || seconds > LONGEST)
      throw invalid(setting, `whole seconds from 1 to ${LONGEST} are needed`);
    if (changed[name] !== undefined && changed[name] !== seconds)
      throw invalid(setting, `${name} was given twice`);
    changed[name] = seconds;
  }
  return changed;
}

function isDeadlineName(name: string): name is DeadlineName {
  return Object.hasOwn(DEADLINES, name);
}

function invalid(setting: string, why: string) {
  return refusal(
    'deadline-invalid',
    `The deadline ${JSON.stringify(setting)} cannot be used: ${why}.`,
    'Write it as in --deadline pkispawn=3600.',
  );
}
