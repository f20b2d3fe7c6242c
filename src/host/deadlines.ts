import { refusal } from '../errors.ts';

/** How long one kind of work may take, and for whom that is. */
interface Deadline {
  /** Seconds unless told. */
  seconds: number;
  /** What may take so long, for people. */
  what: string;
}

/** Every wait of an installation has a name here; nothing in Capstan waits without end. */
export const DEADLINES = {
  // The slowest seen with Debian 11 is openssl with the 600,000 iterations of Dogtag's PKCS#12 file: 1 s.
  command: { seconds: 60, what: 'a program that has no deadline of its own' },
  // Tomcat with an HSM needs more than systemd's 90 s, and systemctl waits for systemd.
  service: { seconds: 300, what: 'the start or stop of a service by systemd' },
  // getaddrinfo(3) gives up after 5 s, twice, for each of up to three name servers (resolv.conf(5)).
  resolver: { seconds: 30, what: 'the answer of the resolver to a host name' },
  // 10 s in the lab; it starts and stops the server, and a slow disk needs minutes.
  dscreate: { seconds: 600, what: 'the creation of the directory instance' },
  dsctl: { seconds: 300, what: 'the removal of the directory instance' },
  // Ran for 117 s at most in the lab; a network HSM that makes 4096-bit keys can take many times that.
  pkispawn: { seconds: 1800, what: 'one run of pkispawn, keys on the token included' },
  // pkispawn's own 60 (PKISPAWN_STARTUP_TIMEOUT_SECONDS) are too few for slow HSMs.
  startup: { seconds: 600, what: 'the CA, from the start of Tomcat until it answers' },
  pkidestroy: { seconds: 300, what: 'the removal of the Dogtag instance' },
  ldap: { seconds: 30, what: 'one answer of the directory, over its socket or LDAPS' },
  http: { seconds: 30, what: 'one public page of the CA' },
  // A signature by a slow HSM is part of it.
  rest: { seconds: 120, what: 'one request to the REST interface of the CA' },
  signature: { seconds: 60, what: 'one OCSP response of the CA, signed on the token' },
  certmonger: { seconds: 60, what: 'one answer of certmonger on the system bus' },
  // The first reading of a certificate from a slow HSM; FreeIPA waits as long.
  monitoring: { seconds: 300, what: 'certmonger, until it watches a certificate' },
  // Network HSMs answer within seconds; one that fails over to another needs tens of them.
  token: { seconds: 60, what: 'one call into the PKCS#11 library of the token' },
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
    const [, name = '', digits = ''] = /^([a-z]+)=(\d{1,5})$/.exec(setting) ?? [];
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
