/** What an offline root says of certificates that are to be trusted no more: its revocations and its CRLs. */
import { PreflightError, refusal } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { Listener } from '../plan/step.ts';
import { issuerIn } from '../root/certificate.ts';
import type { RootConfig } from '../root/config.ts';
import { type CrlWish, REASONS, type Reason, signCrl } from '../root/crl.ts';
import { endOf } from '../root/duration.ts';
import { issuedSerials, nextCrlNumber, type RootIndex, revokedSerials } from '../root/index-file.ts';
import { pemOf, type Signer, sha256 } from '../root/x509.ts';
import {
  addToIndex,
  flawOfOutput,
  loadIndex,
  loadRootCertificate,
  type Output,
  putOut,
  withRoot,
} from './root-files.ts';
import { noteToken, openSerials } from './root-sign.ts';
import { beginTranscript, shownFingerprint } from './root-story.ts';
import { logIn, type PinGiver, preparePin, rootKey, signerOn, withRootToken } from './root-token.ts';
import type { Report } from './site.ts';
import { stepper } from './token-move.ts';

/** What a CRL was asked for. */
export interface RootCrl {
  /** The ceremony file, an absolute path. */
  file: string;
  config: RootConfig;
  pin: PinGiver;
  listen: Listener;
  /** Paths of the CRL and of the transcript. */
  output: string;
  transcript: string;
}

const HOW = 'with --out and --transcript';
/** A person may be asked for the PIN between the two. */
const LOOK = [['look', 'Look at the root']] as const;
const MAKE = [
  ['token', 'Look at the token'],
  ['sign', 'Sign the CRL'],
  ['files', 'Write the CRL and the transcript'],
] as const;

interface Plan {
  index: RootIndex;
  wish: CrlWish;
}

/**
 * Signs a full CRL of all that the root revoked. Its number is in the index, on disk, before it is signed.
 * @throws PreflightError and CapstanError as `rootSign` does; `root-expired`
 */
export async function rootCrl(host: Host, request: RootCrl): Promise<Report> {
  const { config, listen } = request;
  return withRoot(config, async () => {
    const { index, wish } = await stepper(host, listen, LOOK)('look', () => look(request));
    return withRootToken(host, config, async (token) => {
      await preparePin(token, request.pin);
      const step = stepper(host, listen, MAKE);
      const story = beginTranscript('A CRL of an offline root', config, request.file, token);
      const { begun } = index;
      const signer = await step('token', async () => {
        story.note(await logIn(token, request.pin));
        await rootKey(token, begun.key.id, wish.issuerKey);
        noteToken(story, token, begun.token.serial);
        return signerOn(token, begun.key.id, config.hash, wish.issuerKey);
      });
      const { der, last } = await step('sign', () => sign(config, { index, wish }, signer));
      story.note(`signed CRL number ${wish.number} with ${config.hash}: ${wish.revoked.length} revoked`);
      for (const { serial, reason } of wish.revoked) story.note(`it lists ${serial}: ${reason}`);
      return step('files', async () => {
        const digest = await putOut(outputOf(request, wish, der, last), story.text);
        return reportOf(request, { index, wish }, der, digest);
      });
    });
  });
}

function outputOf({ config, output, transcript }: RootCrl, wish: CrlWish, der: Buffer, last: string): Output {
  const nextUpdate = wish.nextUpdate.toISOString();
  return {
    ...{ path: output, content: pemOf('X509 CRL', der), what: 'CRL', how: HOW, transcript },
    ...{ index: config.outputs.index, last },
    event: { event: 'crl-issued', number: wish.number, fingerprint: sha256(der), nextUpdate },
  };
}

async function look({ config, output, transcript }: RootCrl): Promise<Plan> {
  const flaws = [
    await flawOfOutput(output, 'CRL', HOW),
    await flawOfOutput(transcript, 'transcript', HOW),
  ].filter((one) => one !== undefined);
  if (flaws.length > 0) throw new PreflightError(flaws);
  const index = await loadIndex(config.outputs.index);
  const root = issuerIn(await loadRootCertificate(config, index));
  const thisUpdate = new Date(Math.floor(Date.now() / 1000) * 1000);
  if (root.notAfter <= thisUpdate) {
    throw refusal('root-expired', `The certificate of the root ended on ${root.notAfter.toISOString()}.`);
  }
  const wish = {
    ...{ issuer: root.subject, issuerKey: root.key },
    ...{ number: nextCrlNumber(index), thisUpdate, nextUpdate: endOf(thisUpdate, config.crlValidity) },
    revoked: revokedSerials(index),
  };
  return { index, wish };
}

async function sign({ outputs }: RootConfig, { index, wish }: Plan, signer: Signer) {
  const event = { event: 'crl-reserved', number: wish.number } as const;
  const last = await addToIndex(outputs.index, index.last, event);
  return { last, der: await signCrl(wish, signer) };
}

function reportOf(
  { config, output, transcript }: RootCrl,
  { index, wish }: Plan,
  der: Buffer,
  digest: string,
): Report {
  return {
    title: `CRL number ${wish.number} is signed.`,
    facts: [
      { name: 'CRL', value: output },
      { name: 'Fingerprint', value: shownFingerprint(sha256(der)) },
      { name: 'Revoked', value: String(wish.revoked.length) },
      { name: 'Next update', value: wish.nextUpdate.toISOString() },
      { name: 'Transcript', value: `${transcript}, ${shownFingerprint(digest)}` },
      ...openSerials(index),
    ],
    next: [
      `Back up ${config.outputs.index}.`,
      config.crlUrls.length > 0
        ? `Put ${output} where the certificates say: ${config.crlUrls.join(', ')}`
        : `Hand ${output} to all who check certificates of this root; the ceremony file names no address for it.`,
      `Make the next one before ${wish.nextUpdate.toISOString()}.`,
    ],
  };
}

/** What a revocation was asked for. */
export interface RootRevoke {
  config: RootConfig;
  /** Hex, as people write it: with colons, blanks or 0x, in any case. */
  serial: string;
  reason: string;
}

/**
 * Records that a certificate is revoked. The token is not needed; others learn of it from the next CRL.
 * @throws CapstanError `root-busy`, `revoke-reason-unknown`, `revoke-serial-unknown`, `revoke-twice`,
 *   `root-index-missing`, `root-index-damaged`, `root-ceremony-unfinished`, `root-certificate-differs`
 */
export async function rootRevoke({ config, serial: text, reason }: RootRevoke): Promise<Report> {
  if (!Object.hasOwn(REASONS, reason)) {
    throw refusal(
      'revoke-reason-unknown',
      `There is no reason "${reason}".`,
      `Give one of ${Object.keys(REASONS).join(', ')} with --reason.`,
    );
  }
  return withRoot(config, async () => {
    const index = await loadIndex(config.outputs.index);
    await loadRootCertificate(config, index);
    const serial = text.toLowerCase().replace(/^0x/, '').replaceAll(/[:\s]/g, '');
    const subject = revocable(index, serial, text);
    const date = new Date().toISOString();
    const event = { event: 'revoked', serial, reason: reason as Reason, date } as const;
    await addToIndex(config.outputs.index, index.last, event);
    return {
      title: `The certificate ${serial} is revoked.`,
      facts: [
        { name: 'Subject', value: subject },
        { name: 'Reason', value: reason },
        { name: 'Index', value: config.outputs.index },
      ],
      next: ['Nobody knows yet. Make a new CRL: capstan root crl --config FILE --out FILE'],
    };
  });
}

function revocable(index: RootIndex, serial: string, text: string): string {
  const serials = issuedSerials(index);
  const found = serials.get(serial);
  if (!found) {
    throw refusal(
      'revoke-serial-unknown',
      `This root has issued no certificate with the serial ${JSON.stringify(text)}.`,
      `It has issued: ${[...serials.keys()].join(', ') || 'none'}.`,
    );
  }
  if (found.state === 'revoked') {
    throw refusal(
      'revoke-twice',
      `The certificate ${serial} is revoked already.`,
      'Make a CRL: capstan root crl',
    );
  }
  return found.subject;
}
