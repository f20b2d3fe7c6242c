/** The certificates that another authority handed out, as files: read and judged. */
import { createPublicKey, type X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { type CapstanError, PreflightError, refusal, sentenceOf } from '../errors.ts';
import { certificatesIn, distinct } from '../external/bundle.ts';
import { type CaChain, judgeCertificates } from '../external/validate.ts';
import { quoted } from '../names/quoted.ts';
import type { Check } from '../plan/step.ts';
import type { RequestFacts } from './external.ts';

/** The largest file with certificates that is read, in bytes. */
const LONGEST_FILE = 1024 * 1024;

/** What the certificates are to be for: the key and the name, and what the CA has, where it has one. */
export type ChainWish = Pick<RequestFacts, 'subject' | 'publicKey'> & { current?: X509Certificate };

/**
 * Reads and judges the certificates that were given.
 * @throws CapstanError every flaw of `judgeCertificates`, `external-file-unreadable`; a PreflightError where there are several
 */
export async function chainIn(files: readonly string[], request: ChainWish): Promise<CaChain> {
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
  const { subject, publicKey, current } = request;
  const wish = { subject, key: createPublicKey(publicKey), ...(current && { current }) };
  const verdict = judgeCertificates(distinct(given), wish);
  if (verdict.chain) return verdict.chain;
  throw new PreflightError(verdict.flaws);
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
export function certificateCheck(files: readonly string[], request: ChainWish): Check {
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
