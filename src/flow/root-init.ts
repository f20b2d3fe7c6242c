/** The key ceremony of an offline root: from one reviewed file to a key on the token and its own certificate. */
import { type KeyObject, randomBytes, X509Certificate } from 'node:crypto';
import { type CapstanError, failure, PreflightError, refusal } from '../errors.ts';
import { pathExists } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import type { TokenObject } from '../hsm/protocol.ts';
import { rsaKey } from '../hsm/public-key.ts';
import { mechanismRefusals, stateRefusals } from '../hsm/requirements.ts';
import { objectsOfUri } from '../hsm/uri-token.ts';
import { uriValue } from '../names/pkcs11-uri.ts';
import type { Listener } from '../plan/step.ts';
import { newSerial, signCertificate, toBeSigned } from '../root/certificate.ts';
import type { RootConfig } from '../root/config.ts';
import { endOf, formatDuration } from '../root/duration.ts';
import { type IndexEvent, indexLine } from '../root/index-file.ts';
import { type Finding, findingLine, lint, warningsOf } from '../root/lint.ts';
import type { Transcript } from '../root/transcript.ts';
import { derOf, nameOf, pemOf, sha256 } from '../root/x509.ts';
import { flawOfOutput, loadIndex, putOut, unfinishedCeremony, withRoot, writeOutput } from './root-files.ts';
import { beginTranscript, shownFingerprint } from './root-story.ts';
import {
  logIn,
  mechanismFor,
  type PinGiver,
  preparePin,
  type RootToken,
  signerOn,
  withRootToken,
} from './root-token.ts';
import { takeBack } from './root-undo.ts';
import type { Report } from './site.ts';
import { stepper } from './token-move.ts';

/** What a ceremony was asked for. */
export interface RootInit {
  /** The ceremony file, an absolute path. */
  file: string;
  config: RootConfig;
  pin: PinGiver;
  listen: Listener;
  dryRun?: boolean | undefined;
  /** A signal for taking back what was made, after an interruption. */
  secondSignal?: (() => AbortSignal) | undefined;
}

const HOW = 'in the ceremony file';
/** A person may be asked for the PIN between the two. */
const LOOK = [['look', 'Look at the ceremony file and the outputs']] as const;
const MAKE = [
  ['token', 'Look at the token'],
  ['key', 'Make the key on the token'],
  ['certificate', 'Sign the certificate'],
  ['files', 'Write the certificate and the transcript'],
] as const;

/** What is known of a ceremony before it begins. */
interface Plan {
  config: RootConfig;
  notBefore: Date;
  notAfter: Date;
  keyId: string;
  warnings: Finding[];
}

/**
 * Makes an offline root. Everything is looked at before the token is changed; what fails is taken back, the key too.
 * @throws PreflightError with `output-file-exists`, `output-file-unusable`, `root-exists`, `root-ceremony-unfinished`,
 *   `root-key-exists`, `token-write-protected`, `mechanism-missing`, `key-size-unsupported`
 * @throws CapstanError `root-busy`, `root-lint`, `root-key-unfit`, `root-signature-wrong`, `interrupted`, those of
 *   {@link logIn} and {@link withRootToken}; `root-take-back` where what was made could not be taken back
 */
export async function rootInit(host: Host, request: RootInit): Promise<Report> {
  const { config, listen, dryRun } = request;
  return withRoot(config, async () => {
    const plan = await stepper(host, listen, LOOK)('look', () => lookAtFiles(config));
    return withRootToken(host, config, async (token) => {
      await preparePin(token, request.pin);
      const step = stepper(host, listen, dryRun ? MAKE.slice(0, 1) : MAKE);
      const story = beginTranscript('Key ceremony of an offline root', config, request.file, token);
      await step('token', () => lookAtToken(token, plan, request.pin, story));
      return dryRun ? dryReport(plan, token) : celebrate(host, request, plan, token, { step, story });
    });
  });
}

async function lookAtFiles(config: RootConfig): Promise<Plan> {
  const { certificate, transcript, index } = config.outputs;
  const flaws = [
    await flawOfIndex(config),
    await flawOfOutput(certificate, 'certificate', HOW),
    await flawOfOutput(transcript, 'transcript', HOW),
    index && !(await pathExists(index)) ? await flawOfOutput(index, 'index', HOW) : undefined,
  ].filter((one) => one !== undefined);
  // What a killed ceremony left is told once, with what takes it back.
  const unfinished = flaws.filter(({ code }) => code === 'root-ceremony-unfinished');
  if (flaws.length > 0) throw new PreflightError(unfinished.length > 0 ? unfinished : flaws);
  const notBefore = config.notBefore ?? new Date(Math.floor(Date.now() / 1000) * 1000);
  const plan = {
    ...{ config, notBefore, notAfter: endOf(notBefore, config.validity), warnings: [] },
    keyId: uriValue(config.uri, 'id') ?? randomBytes(20).toString('hex'),
  };
  // A dry look, with a key that nobody has: all rules but those for the key itself can be judged now.
  const tbs = toBeSigned(wishOf(plan, standIn(config.keyBits)));
  const findings = lint(derOf(tbs), config).filter(({ code }) => code !== 'rsa-modulus-factors');
  return { ...plan, warnings: warningsOf(findings, 'certificate of the root', 'planned') };
}

async function flawOfIndex(config: RootConfig): Promise<CapstanError | undefined> {
  const { index: file } = config.outputs;
  if (!(await pathExists(file))) return undefined;
  const index = await loadIndex(file);
  if (!index.root) return unfinishedCeremony(config, index);
  return refusal(
    'root-exists',
    `The index ${file} tells of a root already: ${index.root.subject}, of ${index.root.time}.`,
    'Name other outputs in the ceremony file for another root. An existing one is never made again.',
  );
}

/** A public key of the right size that nobody has the private one of. */
function standIn(bits: number): KeyObject {
  const modulus = randomBytes(bits / 8);
  modulus[0] = (modulus[0] ?? 0) | 0x80;
  modulus[modulus.length - 1] = (modulus.at(-1) ?? 0) | 1;
  return rsaKey(modulus.toString('hex'), '10001');
}

function wishOf({ config, notBefore, notAfter }: Plan, key: KeyObject) {
  const name = nameOf(config.subject);
  return {
    ...{ serial: newSerial(), subject: name, issuer: name, notBefore, notAfter, key, issuerKey: key },
    ...{ pathLength: config.pathLength, hash: config.hash },
  };
}

async function lookAtToken(
  token: RootToken,
  { config, keyId }: Plan,
  pin: PinGiver,
  story: Transcript,
): Promise<void> {
  const { module, facts } = token;
  const mechanisms = await module.mechanisms(facts.slot);
  const flaws = [
    ...stateRefusals(facts).filter(({ code }) => code !== 'token-unprotected'),
    ...mechanismRefusals(facts.label, mechanisms, [config.keyBits]),
  ];
  if (flaws.length > 0) throw new PreflightError(flaws);
  mechanismFor(mechanisms, config.hash, facts.label);
  story.note(await logIn(token, pin));
  const taken = keysNamed(await module.objects(facts.slot), config, keyId);
  story.note(`looked at the token: nothing on it is called "${config.keyLabel}" or has the id ${keyId}`);
  if (taken.length === 0) return;
  const list = taken.map((one) => `${one.class} "${one.label}" (id ${one.id || 'none'})`);
  throw refusal(
    'root-key-exists',
    `The token "${facts.label}" has objects of the name or the id of the key already: ${list.join(', ')}.`,
    'Name another key in the ceremony file (object=, id=). What is on the token is never overwritten.',
  );
}

function keysNamed(objects: readonly TokenObject[], { uri }: RootConfig, id: string): TokenObject[] {
  return objects.filter((one) => one.id === id || objectsOfUri([one], uri).length > 0);
}

function dryReport({ config, notBefore, notAfter, warnings }: Plan, { facts }: RootToken): Report {
  return {
    title: 'Everything is in order; nothing was changed.',
    facts: [
      { name: 'Token', value: `${facts.label}, serial ${facts.serial}` },
      { name: 'Key', value: `RSA of ${config.keyBits} bits, "${config.keyLabel}"` },
      { name: 'Subject', value: config.subject },
      {
        name: 'Valid',
        value: `${notBefore.toISOString()} to ${notAfter.toISOString()} (${formatDuration(config.validity)})`,
      },
      { name: 'Ceremony file', value: shownFingerprint(config.digest) },
      ...warnings.map((one) => ({ name: 'Warning', value: findingLine(one) })),
    ],
    next: ['The ceremony itself: the same command without --dry-run.'],
  };
}

/** From here on something is made, and taken back where it cannot be finished. */
async function celebrate(
  host: Host,
  request: RootInit,
  plan: Plan,
  token: RootToken,
  { step, story }: { step: ReturnType<typeof stepper>; story: Transcript },
): Promise<Report> {
  const { config } = request;
  const first = firstLine(plan, token);
  await writeOutput(config.outputs.index, first.text, { what: 'index', how: HOW });
  try {
    const key = await step('key', () => makeKey(token, plan, story));
    const made = await step('certificate', () => certify(token, plan, key, story));
    return await step('files', () => finish(plan, token, made, first.hash, story));
  } catch (error) {
    const later = host.under(request.secondSignal?.());
    await takeBack(later, config, request.pin, plan.keyId, error);
    throw error;
  }
}

function firstLine({ config, keyId }: Plan, { facts }: RootToken) {
  const event: IndexEvent = {
    event: 'ceremony-begun',
    key: { id: keyId, label: config.keyLabel },
    token: { label: facts.label, serial: facts.serial },
    files: [config.outputs.certificate, config.outputs.transcript],
    config: config.digest,
  };
  return indexLine(event, new Date());
}

async function makeKey(
  { module, facts }: RootToken,
  { config, keyId }: Plan,
  story: Transcript,
): Promise<KeyObject> {
  const { keyLabel: label, keyBits: bits } = config;
  await module.generateKeyPair(facts.slot, { label, id: keyId, bits });
  const objects = (await module.objects(facts.slot)).filter(({ id }) => id === keyId);
  const made = objects.find((one) => one.class === 'private-key');
  const open = objects.find((one) => one.class === 'public-key');
  const flaws = keyFlaws(made, open, bits);
  if (flaws.length > 0 || !open?.modulus || !open.exponent) {
    throw failure(
      'root-key-unfit',
      `The token "${facts.label}" made a key that is not as it must be: ${flaws.join(', ')}.`,
      'See the settings and the policy of the HSM.',
    );
  }
  story.note(`made an RSA key pair of ${bits} bits on the token: label "${label}", id ${keyId}`);
  story.note('looked at the key: sensitive, not extractable, made on this token');
  return rsaKey(open.modulus, open.exponent);
}

function keyFlaws(made: TokenObject | undefined, open: TokenObject | undefined, bits: number): string[] {
  if (!made || !open) return ['it is not there'];
  return [
    ...(made.sensitive === true && made.alwaysSensitive !== false ? [] : ['it is not sensitive']),
    ...(made.extractable === false && made.neverExtractable !== false ? [] : ['it can be extracted']),
    ...(made.local === false ? ['it was not made on the token'] : []),
    ...(open.modulusBits === bits ? [] : [`it has ${open.modulusBits} bits`]),
    ...(made.modulus === undefined || made.modulus === open.modulus ? [] : ['its two halves differ']),
    ...(open.exponent ? [] : ['its public exponent is not told']),
  ];
}

/** What a ceremony made. */
interface Made {
  der: Buffer;
  serial: string;
  findings: Finding[];
}

async function certify(token: RootToken, plan: Plan, key: KeyObject, story: Transcript): Promise<Made> {
  const { config, keyId } = plan;
  const tbs = toBeSigned(wishOf(plan, key));
  warningsOf(lint(derOf(tbs), config), 'certificate that is about to be signed', 'made');
  story.note('looked the certificate over before it was signed: no error');
  const signer = await signerOn(token, keyId, config.hash, key);
  const der = await signCertificate(tbs, signer);
  const findings = warningsOf(lint(der, config), 'signed certificate', 'made');
  const { serialNumber } = new X509Certificate(der);
  story.note(`signed the certificate with ${config.hash}: serial ${serialNumber.toLowerCase()}`);
  story.note('looked the signed certificate over, its signature verified by OpenSSL: no error');
  for (const finding of findings) story.note(`warning: ${findingLine(finding)}`);
  return { der, serial: serialNumber.toLowerCase(), findings };
}

async function finish(
  { config, keyId, notAfter }: Plan,
  { facts }: RootToken,
  { der, serial, findings }: Made,
  last: string,
  story: Transcript,
): Promise<Report> {
  const { certificate, transcript, index } = config.outputs;
  const fingerprint = sha256(der);
  const ends = notAfter.toISOString();
  story.note(`writes ${certificate}: fingerprint ${shownFingerprint(fingerprint)}`);
  const digest = await putOut(
    {
      ...{ path: certificate, content: pemOf('CERTIFICATE', der), what: 'certificate', how: HOW },
      ...{ transcript, index, last },
      event: { event: 'root-issued', serial, fingerprint, subject: config.subject, notAfter: ends },
    },
    story.text,
  );
  return {
    title: `The root ${config.subject} is made.`,
    facts: [
      { name: 'Certificate', value: certificate },
      { name: 'Fingerprint', value: shownFingerprint(fingerprint) },
      { name: 'Serial', value: serial },
      { name: 'Valid until', value: ends },
      { name: 'Key', value: `id ${keyId} on the token ${facts.label} (serial ${facts.serial})` },
      { name: 'Transcript', value: `${transcript}, ${shownFingerprint(digest)}` },
      { name: 'Index', value: index },
      ...findings.map((one) => ({ name: 'Warning', value: findingLine(one) })),
    ],
    next: [
      'Have the transcript signed by the witnesses, and keep its SHA-256 with it.',
      `Back up ${index} after every use of the root: it says which serials are taken and what is revoked.`,
      'Issue the first CRL: capstan root crl --config FILE --out FILE',
    ],
  };
}
