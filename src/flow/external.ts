/** A CA whose certificate another authority signs: what is kept between the two stages of its installation. */
import { type JournalFile, readJournal } from '../plan/journal.ts';
import type { Facts } from '../plan/step.ts';
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

/** What is to be done next by a person, while the certificate is not there. */
export function waitingSteps({ fingerprint }: Pick<RequestFacts, 'fingerprint'>): string[] {
  return [
    `Take ${REQUEST_FILE} to the authority, and tell its fingerprint on another way: sha256:${fingerprint}`,
    `When the certificate is there, go on with it and with all certificates above it: ${secondStage()}`,
    'Take everything back instead: capstan server-install --undo',
  ];
}
