/** What is known of a server when its health is judged. Plain data: who gathers it, and how, is not told here. */
import type { TrackingRequest } from '../certmonger/tracking.ts';
import type { Agreement } from '../directory/agreement.ts';
import type { RoleName, ServerEntry } from '../directory/masters.ts';
import type { HsmRecord } from '../directory/record.ts';
import type { Replica } from '../directory/ruv.ts';
import type { SystemCertificate } from '../dogtag/certificates.ts';
import type { DogtagConfiguration } from '../dogtag/configuration.ts';
import type { CapstanError } from '../errors.ts';
import type { Clock } from '../host/clock.ts';
import type { Room } from '../host/facts.ts';
import type { KeyFinding } from '../hsm/possession.ts';
import type { TokenFacts } from '../hsm/protocol.ts';

/** All that can be known, by name. */
export interface Facts {
  server: ServerFacts;
  whole: true;
  room: DiskFacts[];
  memory: number;
  clock: Clock;
  names: string;
  releases: ReleaseFacts[];
  units: UnitFacts[];
  /** Whether the 389-ds of this host needs the feed keeper. */
  feedKeeper: boolean;
  files: FileFacts[];
  leftovers: string[];
  caFile: string;
  agent: string;
  /** When the certificates of this server end. */
  lifetimes: { name: string; expires: Date }[];
  directory: DirectoryFacts;
  ldaps: Date;
  cluster: ClusterFacts;
  configuration: DogtagConfiguration;
  /** Where the CA does other about CRLs than is recorded. */
  crlProblem: { message: string; next: string } | undefined;
  pins: string[];
  deployed: true;
  selfTests: string;
  caStatus: string;
  caProfiles: string;
  caSignature: string;
  caData: CaData;
  kraDeployed: true;
  kraStatus: string;
  kraSelfTests: string;
  /** The id of what the KRA recovered, in words. */
  kraRecovery: string;
  database: NssFacts;
  tokenTrust: Record<string, string>;
  hsm: HsmFacts;
  hsmLogin: HsmLogin;
  certmonger: CertmongerFacts;
}

/** The name of something that can be known. */
export type FactName = keyof Facts;

/** How a fact was come by: known, not to be had, or not asked for. */
export type Gathered<Value> =
  | { state: 'known'; value: Value; seconds: number }
  | { state: 'failed'; error: CapstanError; seconds: number }
  /** Something else is wrong that keeps it from being asked: the code of that check. */
  | { state: 'blocked'; by: string }
  /** There is no such thing on this server. */
  | { state: 'absent' };

/** Everything that was gathered, or tried. */
export type GatheredFacts = { [Name in FactName]: Gathered<Facts[Name]> };

/** How the server on this host was installed. */
export interface ServerFacts {
  hostname: string;
  realm: string;
  /** The domain's suffix. */
  suffix: string;
  /** The subject of the certificate of its directory, by which the others know it. */
  subject: string;
  /** The directory instance: `EXAMPLE-TEST`. */
  instance: string;
  hasCa: boolean;
  hasKra: boolean;
  /** Whether it joined another server. */
  joined: boolean;
  token: { label: string; libraryPath: string };
  /** The system certificates that it should have. */
  certificates: readonly SystemCertificate[];
  /** What its journal tells where the last run did not come to its end. */
  unfinished: string | undefined;
  /** The command that goes on with that run. */
  flow: string;
  /** The release of Capstan that wrote the journal, and the one that looks. */
  capstan: { journal: string; now: string };
}

/** A file system that a server needs. */
export interface DiskFacts extends Room {
  /** The folder on it by which it was found. */
  folder: string;
  /** Whether data and logs grow on it. */
  growing: boolean;
}

/** A release of a program that is driven. */
export interface ReleaseFacts {
  program: string;
  version: string | undefined;
  /** Why it cannot be worked with. */
  problem: string | undefined;
}

/** A service of the server. */
export interface UnitFacts {
  unit: string;
  /** The unit that starts it at boot. */
  bootUnit: string;
  part: 'directory' | 'ca' | 'certmonger' | 'renewal' | 'feed-keeper';
  active: boolean;
  enabled: boolean;
  /** Units that must have started before it does. */
  after: readonly string[];
  /** Units that it must come after. */
  mustFollow: readonly string[];
}

/** A file, and whose it should be. */
export interface FileFacts {
  path: string;
  mode: number;
  owner: string;
  /** Who it should belong to. */
  wantedOwner: string;
  /** Permission bits that it must not have. */
  forbidden: number;
  /** Permission bits that it must have. */
  needed: number;
}

/** What the directory of this host has, as its manager sees it. */
export interface DirectoryFacts {
  record: HsmRecord | undefined;
  /** Why the record cannot be read. */
  recordProblem: string | undefined;
  servers: ServerEntry[];
  /** Whether the plug-in runs without which Dogtag does not find its profiles. */
  usnPlugin: boolean;
  /** The CA certificates that it publishes, DER in base64. */
  publishedCas: string[];
  /** The subject by which the other servers know this one; undefined where they do not. */
  identity: string | undefined;
  /** Whether this server is in the group that manages replication. */
  isManager: boolean;
  /** Entries that two servers made at the same time, or changed apart from each other. */
  conflicts: string[];
  replicas: readonly Replica[];
  agreements: readonly Agreement[];
  /** The accounts by which other servers may send changes: distinguished names. */
  senders: string[];
  /** For each suffix the distinguished names that may send. */
  letIn: string[];
}

/** The servers as they answer this one. */
export interface ClusterFacts {
  servers: { hostname: string; problem: string | undefined }[];
  feeds: {
    suffix: string;
    sender: string;
    receiver: string;
    state: string;
    well: boolean;
    detail: string;
  }[];
  parts: { suffix: string; parts: string[][] }[];
}

/** A user of the CA that has a certificate. */
export interface CertificateUser {
  uid: string;
  dn: string;
  /** `2;SERIAL;ISSUER;SUBJECT`, by which Dogtag knows who shows a certificate. */
  descriptions: string[];
  /** DER in base64. */
  certificates: string[];
}

/** What the CA keeps in the directory. */
export interface CaData {
  users: CertificateUser[];
  /** Distinguished names of those who may approve requests. */
  agents: string[];
  /** The host names in the security domain that have a CA, and those that have a KRA. */
  domain: Record<RoleName, string[]>;
  /** The last CRL: until when it is good, or what is wrong with it; undefined where there is none. */
  crl: { nextUpdate: Date } | { problem: string } | undefined;
  /** Serial numbers (decimal) of system certificates that are revoked. */
  revoked: string[];
  /** The serial number (decimal) that the entry of the CA itself names. */
  authoritySerial: string | undefined;
}

/** The internal token of Dogtag's NSS database. */
export interface NssFacts {
  /** Trust flags by nickname. */
  trust: Record<string, string>;
  /** Certificates by nickname, DER in base64. */
  certificates: Record<string, string>;
  /** The PKCS#11 libraries that it loads besides NSS's own. */
  libraries: string[];
}

/** The token, seen without a login. */
export interface HsmFacts {
  token: TokenFacts;
  /** Its certificates by label, DER in base64. */
  certificates: { label: string; der: string }[];
}

/** What was found of a key, and whether it can leave the token. */
export type KeyLook = KeyFinding & { weaknesses: string[] };

/** The token, seen after a login with the PIN that Dogtag keeps. */
export interface HsmLogin {
  keys: KeyLook[];
}

/** What certmonger knows. */
export interface CertmongerFacts {
  requests: TrackingRequest[];
  /** Whether it knows the CA helper that the requests are to use. */
  knowsCa: boolean;
  /** The names of requests for which it keeps another PIN than Dogtag does. */
  otherPins: string[];
  /** By the names of the requests: the serial numbers, hexadecimal, of the certificates that are in place. */
  placed: Record<string, string>;
}
