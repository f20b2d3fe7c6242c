/** Certifies an issuing CA with an offline root: what the profile says, over the name and the key of a request. */
import { PreflightError, refusal } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { Listener } from '../plan/step.ts';
import {
  type CertificateWish,
  issuerIn,
  newSerial,
  signCertificate,
  toBeSigned,
} from '../root/certificate.ts';
import { PROFILE_NAMES, type Profile, type RootConfig } from '../root/config.ts';
import { endOf } from '../root/duration.ts';
import { issuedSerials, type RootIndex, usedSerials } from '../root/index-file.ts';
import { type Finding, findingLine, lint, warningsOf } from '../root/lint.ts';
import { LONGEST_REQUEST, readRequest, type VerifiedRequest } from '../root/request.ts';
import type { Transcript } from '../root/transcript.ts';
import { derOf, pemOf, sha256 } from '../root/x509.ts';
import {
  addToIndex,
  flawOfOutput,
  loadIndex,
  loadRootCertificate,
  putOut,
  readSmall,
  withRoot,
} from './root-files.ts';
import { beginTranscript, shownFingerprint } from './root-story.ts';
import {
  logIn,
  type PinGiver,
  preparePin,
  type RootToken,
  rootKey,
  signerOn,
  withRootToken,
} from './root-token.ts';
import type { Report } from './site.ts';
import { stepper } from './token-move.ts';

/** What a signature of the root was asked for. */
export interface RootSign {
  /** The ceremony file, an absolute path. */
  file: string;
  config: RootConfig;
  pin: PinGiver;
  listen: Listener;
  /** Paths: the request, the certificate, the transcript. */
  csr: string;
  output: string;
  transcript: string;
  profile: string;
  /**
   * Has the fingerprint confirmed that its owner tells of the request.
   * @throws CapstanError where it is another one
   */
  confirm(fingerprint: string, subject: string): Promise<void>;
}

/** A person may be asked between the two. */
const LOOK = [['look', 'Look at the request and the root']] as const;
const MAKE = [
  ['token', 'Look at the token'],
  ['sign', 'Sign the certificate'],
  ['files', 'Write the certificate and the transcript'],
] as const;
const HOW = 'with --out and --transcript';

/** What is known before the token is asked for anything. */
interface Plan {
  index: RootIndex;
  issuer: Buffer;
  request: VerifiedRequest;
  wish: CertificateWish;
}

/**
 * Certifies the key of a request. The serial is in the index, on disk, before anything is signed with it.
 * @throws PreflightError with `output-file-exists`, `output-file-unusable`
 * @throws CapstanError `root-busy`, `root-index-missing`, `root-index-damaged`, `root-ceremony-unfinished`,
 *   `root-certificate-differs`, `root-profile-unknown`, `csr-key-weak`, `root-lint`, `root-key-missing`,
 *   `root-key-differs`, `root-signature-wrong`, `interrupted`, those of {@link readRequest}, {@link logIn} and
 *   {@link withRootToken}, and what `confirm` throws
 */
export async function rootSign(host: Host, request: RootSign): Promise<Report> {
  const { config, listen } = request;
  return withRoot(config, async () => {
    const plan = await stepper(host, listen, LOOK)('look', () => look(request));
    await request.confirm(plan.request.fingerprint, plan.request.subjectText);
    return withRootToken(host, config, async (token) => {
      await preparePin(token, request.pin);
      const step = stepper(host, listen, MAKE);
      const story = beginTranscript('A certificate of an offline root', config, request.file, token);
      const { begun } = plan.index;
      const key = issuerIn(plan.issuer).key;
      const signer = await step('token', async () => {
        story.note(await logIn(token, request.pin));
        await rootKey(token, begun.key.id, key);
        noteToken(story, token, begun.token.serial);
        return signerOn(token, begun.key.id, config.hash, key);
      });
      const { der, last, findings } = await step('sign', async () => {
        const reserved = await reserve(request, plan);
        const signed = await signCertificate(toBeSigned(plan.wish), signer);
        const subject = { hash: config.hash, issuer: plan.issuer };
        return {
          der: signed,
          last: reserved,
          findings: warningsOf(lint(signed, subject), 'signed certificate', 'made'),
        };
      });
      return step('files', () => finish(request, plan, { der, last, findings }, story));
    });
  });
}

/** Tells of a token that is not the one of the ceremony; its key was found to be the root's, as on a backup. */
export function noteToken(story: Transcript, { facts }: RootToken, serial: string): void {
  story.note('found the key of the root on the token');
  if (facts.serial !== serial) story.note(`the token is another one than at the ceremony (serial ${serial})`);
}

async function look(asked: RootSign): Promise<Plan> {
  const { config } = asked;
  const flaws = [
    await flawOfOutput(asked.output, 'certificate', HOW),
    await flawOfOutput(asked.transcript, 'transcript', HOW),
  ].filter((one) => one !== undefined);
  if (flaws.length > 0) throw new PreflightError(flaws);
  const profile = profileOf(config, asked.profile);
  const index = await loadIndex(config.outputs.index);
  const issuer = await loadRootCertificate(config, index);
  const next = 'Give the file that the CA wrote, with --csr.';
  const bytes = await readSmall(asked.csr, 'csr-unreadable', 'request', next);
  if (bytes.length > LONGEST_REQUEST) {
    throw refusal('csr-unreadable', `The request ${asked.csr} has ${bytes.length} bytes.`, next);
  }
  const request = readRequest(bytes, asked.csr);
  if (request.bits < profile.leastBits || request.bits > 8192) {
    throw refusal(
      'csr-key-weak',
      `The key of the request ${asked.csr} has ${request.bits} bits; the profile ${asked.profile} takes from ${profile.leastBits} to 8192.`,
      'Have the request made again with a key of that size.',
    );
  }
  const wish = wishOf(config, profile, request, issuer, usedSerials(index));
  const subject = { hash: config.hash, issuer };
  warningsOf(lint(derOf(toBeSigned(wish)), subject), 'certificate that is about to be signed', 'planned');
  return { index, issuer, request, wish };
}

function profileOf({ profiles }: RootConfig, name: string): Profile {
  const profile = profiles.get(name);
  if (profile) return profile;
  throw refusal(
    'root-profile-unknown',
    `The ceremony file describes no profile "${name}". Its profiles: ${[...profiles.keys()].join(', ') || 'none'}; Capstan knows ${PROFILE_NAMES.join(', ')}.`,
    'Give one of them with --profile.',
  );
}

function wishOf(
  config: RootConfig,
  { validity, pathLength }: Profile,
  { subject, key }: VerifiedRequest,
  issuer: Buffer,
  used: ReadonlySet<string>,
): CertificateWish {
  const root = issuerIn(issuer);
  const notBefore = new Date(Math.floor(Date.now() / 1000) * 1000);
  let serial = newSerial();
  while (used.has(serial.toString('hex'))) serial = newSerial();
  return {
    ...{ serial, subject, issuer: root.subject, notBefore, notAfter: endOf(notBefore, validity) },
    ...{ key, issuerKey: root.key, pathLength, hash: config.hash },
    addresses: config,
  };
}

/** @returns what the next line of the index is to carry */
function reserve({ config, profile }: RootSign, { index, request, wish }: Plan): Promise<string> {
  return addToIndex(config.outputs.index, index.last, {
    event: 'reserved',
    serial: wish.serial.toString('hex'),
    subject: request.subjectText,
    profile,
    csr: request.fingerprint,
  });
}

async function finish(
  asked: RootSign,
  { index, request, wish }: Plan,
  { der, last, findings }: { der: Buffer; last: string; findings: Finding[] },
  story: Transcript,
): Promise<Report> {
  const { config, output, transcript, profile } = asked;
  const fingerprint = sha256(der);
  const serial = wish.serial.toString('hex');
  const notAfter = wish.notAfter.toISOString();
  story.note(
    `verified the request ${asked.csr}: ${shownFingerprint(request.fingerprint)}, ${request.subjectText}`,
  );
  story.note(
    `signed the certificate with ${config.hash}: serial ${serial}, profile ${profile}, until ${notAfter}`,
  );
  story.note('the fingerprint was confirmed');
  story.note(askedLine(request));
  story.note('looked the certificate over before and after, its signature verified by OpenSSL: no error');
  for (const finding of findings) story.note(`warning: ${findingLine(finding)}`);
  story.note(`writes ${output}: fingerprint ${shownFingerprint(fingerprint)}`);
  const digest = await putOut(
    {
      ...{ path: output, content: pemOf('CERTIFICATE', der), what: 'certificate', how: HOW, transcript },
      ...{ index: config.outputs.index, last, event: { event: 'issued', serial, fingerprint, notAfter } },
    },
    story.text,
  );
  return {
    title: `${request.subjectText} is certified.`,
    facts: [
      { name: 'Certificate', value: output },
      { name: 'Fingerprint', value: shownFingerprint(fingerprint) },
      { name: 'Serial', value: serial },
      { name: 'Valid until', value: notAfter },
      { name: 'Extensions', value: askedLine(request) },
      { name: 'Transcript', value: `${transcript}, ${shownFingerprint(digest)}` },
      ...findings.map((one) => ({ name: 'Warning', value: findingLine(one) })),
      ...openSerials(index),
    ],
    next: [
      `Back up ${config.outputs.index}.`,
      `Take ${output} and ${config.outputs.certificate} to where the request was made.`,
    ],
  };
}

function askedLine({ asked }: VerifiedRequest): string {
  return asked.length === 0
    ? 'the request asked for no extensions; the profile decides'
    : `the request asked for ${asked.join(', ')}: ignored, the profile decides`;
}

/** Serials that an earlier run was about to sign and did not tell the end of. */
export function openSerials(index: RootIndex): { name: string; value: string }[] {
  return [...issuedSerials(index)]
    .filter(([, { state }]) => state === 'reserved')
    .map(([serial, { subject }]) => ({
      name: 'Unfinished',
      value: `serial ${serial} (${subject}): a run ended before it was told that it was issued; revoke it if you have no such certificate`,
    }));
}
