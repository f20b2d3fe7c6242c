/**
 * What is known on this host of its renewals: of each system certificate the serial number of the one that is in place
 * everywhere. A certificate that certmonger has and that is not recorded here is yet to be put in place.
 */
import { createHash, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { removeFile, writeFileAtomically } from '../../host/files.ts';

const RECORD = '/var/lib/capstan/renewals.json';

/** A certificate that was put in place. */
export interface Placed {
  /** Hexadecimal, as certmonger writes it. */
  serial: string;
  /** SHA-256 of its DER encoding, in hex: authorities may give a CA's certificates the same number. */
  sha256?: string;
  /** When it was renewed, ISO 8601; undefined for one that came with the installation. */
  renewed?: string;
}

/** What certmonger says of a certificate, as far as it tells one from another. */
export interface Held {
  /** Hexadecimal, as certmonger writes it. */
  serial: string;
  /** PEM. */
  certificate: string;
}

/** A certificate as the record keeps it. */
export function placedAs({ serial, certificate }: Held): Placed {
  return { serial, ...(certificate !== '' && { sha256: sumOf(certificate) }) };
}

/** Whether what certmonger has is what is in place. */
export function isInPlace(placed: Placed, held: Held): boolean {
  if (placed.serial !== held.serial) return false;
  return placed.sha256 === undefined || held.certificate === '' || placed.sha256 === sumOf(held.certificate);
}

/** Which of some certificates is the one that is in place, by the record; undefined where it is none of them. */
export function placedAmong(certificates: readonly string[], placed: Placed | undefined): string | undefined {
  if (!placed) return undefined;
  const isSame = (pem: string) =>
    placed.sha256 === undefined
      ? BigInt(`0x${new X509Certificate(pem).serialNumber}`) === BigInt(`0x${placed.serial}`)
      : placed.sha256 === sumOf(pem);
  return certificates.find(isSame);
}

function sumOf(pem: string): string {
  return createHash('sha256').update(new X509Certificate(pem).raw).digest('hex');
}

/** By the ids of the tracking requests. */
export type PlacedRecord = Readonly<Record<string, Placed>>;

/** The record of this host; empty where there is none. */
export async function placedCertificates(): Promise<PlacedRecord> {
  try {
    return JSON.parse(await readFile(RECORD, 'utf8')) as PlacedRecord;
  } catch {
    return {};
  }
}

/** Adds to the record; on disk when it returns. */
export async function recordPlaced(placed: PlacedRecord): Promise<void> {
  const record = { ...(await placedCertificates()), ...placed };
  await writeFileAtomically(RECORD, `${JSON.stringify(record, undefined, 2)}\n`, { mode: 0o644 });
}

/** Takes certificates out of the record, and the record away when nothing is left in it. */
export async function forgetPlaced(ids: readonly string[]): Promise<void> {
  const left = Object.entries(await placedCertificates()).filter(([id]) => !ids.includes(id));
  if (left.length === 0) await removeFile(RECORD);
  else
    await writeFileAtomically(RECORD, `${JSON.stringify(Object.fromEntries(left), undefined, 2)}\n`, {
      mode: 0o644,
    });
}
