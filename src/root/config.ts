/** The one file that an offline root is made and run from, read strictly. Pure. */

import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { PreflightError, refusal, sentenceOf } from '../errors.ts';
import { parseDn } from '../names/dn.ts';
import { flawOfPath } from '../names/path.ts';
import { type Pkcs11Uri, parsePkcs11Uri, uriValue } from '../names/pkcs11-uri.ts';
import { flawOfSubject } from '../names/subject.ts';
import { type Duration, parseDuration } from './duration.ts';
import {
  type Field,
  integer,
  list,
  type Mapping,
  mapping,
  type Reading,
  readYaml,
  text,
  texts,
  wrong,
} from './yaml.ts';

/** Hash algorithms of signatures, as node:crypto and FIPS 180-4 write them. */
export const HASHES = ['SHA-256', 'SHA-384', 'SHA-512'] as const;
/** One of {@link HASHES}. */
export type Hash = (typeof HASHES)[number];

/** What a certificate that the root issues is like. */
export interface Profile {
  validity: Duration;
  pathLength: number;
  /** The fewest bits of an RSA key that it takes. */
  leastBits: number;
}

/** An offline root, as its file describes it. */
export interface RootConfig {
  /** SHA-256 of the file's bytes, in hex. */
  digest: string;
  /** Names the library (`module-path`), the token and the key (`object`, and `id` where told). */
  uri: Pkcs11Uri;
  libraryPath: string;
  /** The label of the key. */
  keyLabel: string;
  /** What the library finds in its environment. */
  environment: Readonly<Record<string, string>>;
  keyBits: number;
  hash: Hash;
  /** RFC 4514, most specific part first. */
  subject: string;
  validity: Duration;
  /** The beginning, where it is not the time of the ceremony. */
  notBefore?: Date;
  pathLength?: number;
  /** Where others find the root's CRL, its certificate and its OCSP service: in certificates that it issues. */
  crlUrls: readonly string[];
  certificateUrls: readonly string[];
  ocspUrls: readonly string[];
  crlValidity: Duration;
  profiles: ReadonlyMap<string, Profile>;
  outputs: { certificate: string; transcript: string; index: string };
}

/** The profiles that there are. */
export const PROFILE_NAMES = ['issuing-ca'] as const;

const LONGEST_YEARS = 50;

/**
 * Reads a ceremony file.
 * @param file its path, for the errors
 * @param folder the folder from which the paths of its outputs count
 * @throws PreflightError with `root-config-invalid` for every flaw, each with its line and column
 */
export function readRootConfig(bytes: Buffer, file: string, folder: string): RootConfig {
  const { reading, root } = readYaml(utf8(bytes, file));
  const config = root && configOf(reading, root, folder);
  if (reading.problems.length > 0 || !config) {
    const sorted = reading.problems.toSorted((a, b) => a.line - b.line || a.column - b.column);
    throw new PreflightError(
      sorted.map(({ line, column, message }) =>
        refusal('root-config-invalid', `${file}, line ${line}, column ${column}: ${message}.`),
      ),
    );
  }
  return { ...config, digest: createHash('sha256').update(bytes).digest('hex') };
}

function utf8(bytes: Buffer, file: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    const message = `${file} is not UTF-8 text.`;
    throw new PreflightError([refusal('root-config-invalid', message, 'Save it as UTF-8.', error)]);
  }
}

const SECTIONS = ['version', 'token', 'key', 'certificate', 'publication', 'crl', 'profiles', 'outputs'];

function configOf(reading: Reading, root: Field, folder: string): Omit<RootConfig, 'digest'> | undefined {
  const top = mapping(reading, root, SECTIONS);
  const need = needer(reading, root, top);
  need('version', (field) => integer(reading, field, 1, 1));
  const token = need('token', (field) => tokenOf(reading, field));
  const key = need('key', (field) => sectionOf(reading, field, ['size'])('size', bits(reading, 2048)));
  const certificate = need('certificate', (field) => certificateOf(reading, field));
  const publication = publicationOf(reading, top.get('publication'));
  const crl = need('crl', (field) => sectionOf(reading, field, ['validity'])('validity', length(reading)));
  const profiles = need('profiles', (field) => profilesOf(reading, field));
  const outputs = need('outputs', (field) => outputsOf(reading, field, folder));
  if (!token || !key || !certificate || !crl || !profiles || !outputs) return undefined;
  refuseDeeper(reading, top.get('profiles'), profiles, certificate.pathLength);
  return { ...token, keyBits: key, ...certificate, ...publication, crlValidity: crl, profiles, outputs };
}

/** A CA below the root may have fewer CAs below itself than the root has. */
function refuseDeeper(
  reading: Reading,
  field: Field | undefined,
  profiles: ReadonlyMap<string, Profile>,
  pathLength: number | undefined,
): void {
  if (!field || pathLength === undefined) return;
  for (const [name, profile] of profiles) {
    if (profile.pathLength < pathLength) continue;
    wrong(reading, field, `the path-length of ${name} must be below the one of the root, ${pathLength}`);
  }
}

type Read<T> = (field: Field) => T | undefined;

/** Reads keys that must be there. */
function needer(reading: Reading, parent: Field, fields: Mapping) {
  return <T>(key: string, read: Read<T>): T | undefined => {
    const field = fields.get(key);
    if (field) return read(field);
    wrong(reading, parent, `the key "${key}" is missing`);
    return undefined;
  };
}

/** Reads the keys of a section that must be there. */
function sectionOf(reading: Reading, field: Field, known: readonly string[]) {
  return needer(reading, field, mapping(reading, field, known));
}

function bits(reading: Reading, least: number): Read<number> {
  return (field) => {
    const size = integer(reading, field, least, 8192);
    if (size === undefined || size % 1024 === 0) return size;
    wrong(reading, field, 'a multiple of 1024 is needed');
    return undefined;
  };
}

function length(reading: Reading): Read<Duration> {
  return (field) => {
    const value = text(reading, field);
    if (value === undefined) return undefined;
    const found = parseDuration(value);
    const days = found && found.count * { day: 1, month: 31, year: 366 }[found.unit];
    if (days !== undefined && days <= LONGEST_YEARS * 366) return found;
    wrong(
      reading,
      field,
      `a time such as 20 years, 6 months or 180 days is needed, of at most ${LONGEST_YEARS} years`,
    );
    return undefined;
  };
}

/** A variable that makes the loader run other code than the file names is none for a library. */
const VARIABLE = /^(?!LD_|NODE_|PATH$|CAPSTAN_)[A-Za-z_][A-Za-z0-9_]*$/;

function tokenOf(reading: Reading, field: Field) {
  const fields = mapping(reading, field, ['uri', 'environment']);
  const environment = fields.get('environment');
  const uri = needer(reading, field, fields)('uri', (one) => uriOf(reading, one));
  const variables = environment ? texts(reading, environment, VARIABLE) : {};
  return uri && { ...uri, environment: variables };
}

function uriOf(reading: Reading, field: Field) {
  const value = text(reading, field);
  if (value === undefined) return undefined;
  let uri: Pkcs11Uri;
  try {
    uri = parsePkcs11Uri(value);
  } catch (error) {
    wrong(reading, field, sentenceOf(error).replace(/\.$/, ''));
    return undefined;
  }
  const libraryPath = uriValue(uri, 'module-path');
  const keyLabel = uriValue(uri, 'object');
  if (!libraryPath) wrong(reading, field, 'the URI must name the library with module-path=');
  if (!keyLabel) wrong(reading, field, 'the URI must name the key with object=');
  const names = ['token', 'serial', 'slot-id'] as const;
  const named = names.some((name) => uriValue(uri, name) !== undefined);
  if (!named) wrong(reading, field, 'the URI must name the token with token=, serial= or slot-id=');
  const type = uriValue(uri, 'type') ?? 'private';
  if (type !== 'private')
    wrong(reading, field, 'the URI names a key to sign with: type= can be private only');
  if (uriValue(uri, 'id') === '') wrong(reading, field, 'the URI has an empty id=');
  const good = libraryPath && keyLabel && named && type === 'private';
  return good ? { uri, libraryPath, keyLabel } : undefined;
}

function certificateOf(reading: Reading, field: Field) {
  const known = ['subject', 'hash', 'validity', 'not-before', 'path-length'];
  const fields = mapping(reading, field, known);
  const need = needer(reading, field, fields);
  const subject = need('subject', (one) => subjectOf(reading, one));
  const hash = need('hash', (one) => hashOf(reading, one));
  const validity = need('validity', length(reading));
  const begin = fields.get('not-before');
  const notBefore = begin && timeOf(reading, begin);
  const depth = fields.get('path-length');
  const pathLength = depth && integer(reading, depth, 0, 10);
  if (!subject || !hash || !validity) return undefined;
  const optional = { ...(notBefore && { notBefore }), ...(pathLength !== undefined && { pathLength }) };
  return { subject, hash, validity, ...optional };
}

function subjectOf(reading: Reading, field: Field): string | undefined {
  const value = text(reading, field);
  if (value === undefined) return undefined;
  try {
    const flaw = flawOfSubject(parseDn(value));
    if (flaw === undefined) return value;
    wrong(reading, field, flaw);
  } catch (error) {
    wrong(reading, field, sentenceOf(error).replace(/\.$/, ''));
  }
  return undefined;
}

function hashOf(reading: Reading, field: Field): Hash | undefined {
  const value = text(reading, field);
  const hash = HASHES.find((one) => one === value);
  if (value !== undefined && !hash) wrong(reading, field, `one of ${HASHES.join(', ')} is needed`);
  return hash;
}

function timeOf(reading: Reading, field: Field): Date | undefined {
  const value = text(reading, field);
  if (value === undefined) return undefined;
  const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(value) ? new Date(value) : undefined;
  if (time && !Number.isNaN(time.getTime()) && time.toISOString().startsWith(value.slice(0, 19))) return time;
  wrong(reading, field, 'a time such as 2030-01-31T00:00:00Z is needed');
  return undefined;
}

function publicationOf(reading: Reading, field: Field | undefined) {
  const fields = field ? mapping(reading, field, ['crl-urls', 'certificate-urls', 'ocsp-urls']) : new Map();
  const urls = (key: string) => {
    const one = fields.get(key);
    return one ? urlsOf(reading, one) : [];
  };
  return {
    crlUrls: urls('crl-urls'),
    certificateUrls: urls('certificate-urls'),
    ocspUrls: urls('ocsp-urls'),
  };
}

function urlsOf(reading: Reading, field: Field): string[] {
  return list(reading, field).flatMap(({ value, field: item }) => {
    const flaw = flawOfUrl(value);
    if (flaw) wrong(reading, item, flaw);
    return flaw ? [] : [value];
  });
}

/** Why a text cannot be the address of a CRL or a certificate; undefined when it can. */
export function flawOfUrl(value: string): string | undefined {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (!url || !/^[!-~]+$/.test(value)) return 'an address such as http://pki.example.test/root.crl is needed';
  // RFC 5280, 8: with https the check of a certificate would need the check of another one first.
  if (url.protocol !== 'http:') return 'the address must begin with http:// (what is there is signed)';
  if (url.username || url.password) return 'the address must not hold a name or a password';
  if (url.hash) return 'the address must not hold "#"';
  return undefined;
}

function profilesOf(reading: Reading, field: Field): ReadonlyMap<string, Profile> {
  const profiles = new Map<string, Profile>();
  for (const [name, one] of mapping(reading, field, PROFILE_NAMES)) {
    const need = sectionOf(reading, one, ['validity', 'path-length', 'least-key-size']);
    const validity = need('validity', length(reading));
    const pathLength = need('path-length', (depth) => integer(reading, depth, 0, 10));
    const leastBits = need('least-key-size', bits(reading, 2048));
    if (validity && pathLength !== undefined && leastBits) {
      profiles.set(name, { validity, pathLength, leastBits });
    }
  }
  return profiles;
}

function outputsOf(reading: Reading, field: Field, folder: string) {
  const need = sectionOf(reading, field, ['certificate', 'transcript', 'index']);
  const path = (one: Field) => {
    const value = text(reading, one);
    const flaw = value === undefined ? undefined : flawOfPath(value);
    if (flaw) wrong(reading, one, `the file ${flaw}`);
    return value === undefined || flaw ? undefined : resolve(folder, value);
  };
  const certificate = need('certificate', path);
  const transcript = need('transcript', path);
  const index = need('index', path);
  if (!certificate || !transcript || !index) return undefined;
  if (new Set([certificate, transcript, index]).size < 3) wrong(reading, field, 'two outputs are one file');
  return { certificate, transcript, index };
}
