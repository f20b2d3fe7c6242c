/** A CA whose certificate another authority signs: what is kept between the two stages of its installation. */
import { createPublicKey, type KeyObject, type X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { type CapstanError, PreflightError, refusal, sentenceOf } from '../errors.ts';
import { certificatesIn, distinct } from '../external/bundle.ts';
import { type CaChain, judgeCertificates } from '../external/validate.ts';
import { quoted } from '../names/quoted.ts';
import { type JournalFile, readJournal } from '../plan/journal.ts';
import type { Check, Facts } from '../plan/step.ts';
import { secondStage } from './second-stage.ts';
import { REQUEST_STEP, SERVER_JOURNAL } from './site.ts';

/** The id of the step that takes the certificate in; the second stage begins with it. */
export const CERTIFICATE_STEP = 'external-certificate';

/** Where the request lies for whoever takes it to the authority. */
export const REQUEST_FILE = '/root/ca-signing.csr';

/** What the first stage leaves for the second one. */
export interface RequestFacts {
  /** SHA-256 of the request's DER encoding, in hex. */
  fingerprint: string;
  /** RFC 4514. */
  subject: string;
  /** PEM (SPKI). */
  publicKey: string;
  /** PEM. */
  request: string;
  /** CKA_ID of the key, in hex. */
  keyId: string;
  /** Serial number of the token. */
  tokenSerial: string;
}

/** What the journal tells of the request; undefined where it was not made. */
export function requestOf({ entry }: Pick<JournalFile, 'entry'>): RequestFacts | undefined {
  const made = entry(REQUEST_STEP);
  return made?.state === 'done' ? (made.facts as Facts & RequestFacts) : undefined;
}

/** Whether the certificate is there: the second stage has begun. */
export function hasCertificate({ entry }: Pick<JournalFile, 'entry'>): boolean {
  return entry(CERTIFICATE_STEP)?.state === 'done';
}

/** What the second stage makes the CA from: the request, and its certificate with those above it; all PEM. */
export interface Accepted {
  request: string;
  /** The certificate of the CA first, its issuer next, the root last. */
  chain: string;
}

/** As the second stage took it in. @throws Error where it did not */
export async function acceptedCertificate(): Promise<Accepted> {
  const journal = await readJournal(SERVER_JOURNAL);
  const { chain } = journal?.entry(CERTIFICATE_STEP)?.facts ?? {};
  const request = journal && requestOf(journal)?.request;
  if (typeof chain === 'string' && request !== undefined) return { request, chain };
  throw new Error('there is no certificate of the CA yet');
}

/** The largest file with certificates that is read, in bytes. */
const LONGEST_FILE = 1024 * 1024;

/**
 * Reads and judges the certificates that were given.
 * @throws CapstanError every flaw of `judgeCertificates`, `external-file-unreadable`; a PreflightError where there are several
 */
export async function chainIn(files: readonly string[], request: RequestFacts): Promise<CaChain> {
  const flaws: CapstanError[] = [];
  const given: X509Certificate[] = [];
  for (const file of files) {
    try {
      given.push(...(await readCertificates(file)));
    } catch (error) {
      flaws.push(error as CapstanError);
    }
  }
  // What is in a file that cannot be read may be what the others lack.
  if (flaws.length > 0) throw new PreflightError(flaws);
  const verdict = judgeCertificates(distinct(given), { subject: request.subject, key: keyOf(request) });
  if (verdict.chain) return verdict.chain;
  throw new PreflightError(verdict.flaws);
}

/** The key of the CA, as the request has it. */
export function keyOf({ publicKey }: RequestFacts): KeyObject {
  return createPublicKey(publicKey);
}

async function readCertificates(path: string): Promise<X509Certificate[]> {
  const unreadable = (why: string, cause?: unknown) =>
    refusal(
      'external-file-unreadable',
      `The file ${quoted(path)} cannot be used: ${why}`,
      'Give certificates in PEM, DER or PKCS#7, as the authority hands them out.',
      cause,
    );
  let bytes: Buffer;
  try {
    const facts = await stat(path);
    if (!facts.isFile()) throw new Error('it is no file.');
    if (facts.size > LONGEST_FILE) throw new Error(`it has ${facts.size} bytes.`);
    bytes = await readFile(path);
  } catch (error) {
    throw unreadable(sentenceOf(error), error);
  }
  const found = certificatesIn(bytes);
  if (found) return found;
  throw unreadable('it holds no certificate, or one that cannot be read.');
}

/** That the certificates that were given make a CA of the key on the token. */
export function certificateCheck(files: readonly string[], request: RequestFacts): Check {
  return {
    id: 'external-certificate',
    title: 'The certificates make a CA of the key on the token',
    async run() {
      const { certificate, above, unused } = await chainIn(files, request);
      const root = above.at(-1) ?? certificate;
      const left = unused.length > 0 ? `, ${unused.length} not needed` : '';
      return `until ${certificate.validToDate.toISOString().slice(0, 10)}, under ${shortName(root)}${left}`;
    },
  };
}

function shortName({ subject }: X509Certificate): string {
  return subject.split('\n').at(-1) ?? subject;
}

/** What is to be done next by a person, while the certificate is not there. */
export function waitingSteps({ fingerprint }: Pick<RequestFacts, 'fingerprint'>): string[] {
  return [
    `Take ${REQUEST_FILE} to the authority, and tell its fingerprint on another way: sha256:${fingerprint}`,
    `When the certificate is there, go on with it and with all certificates above it: ${secondStage()}`,
    'Take everything back instead: capstan server-install --undo',
  ];
}
