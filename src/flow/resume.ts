/** What must hold before an installation that stopped half way goes on. */
import { createHash, createPublicKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { CA_TOKEN_NICKNAMES } from '../dogtag/certificates.ts';
import { refusal } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { Inspection } from '../hsm/inspect.ts';
import { keysFor } from '../hsm/inventory.ts';
import type { JournalFile } from '../plan/journal.ts';
import type { Check } from '../plan/step.ts';
import { type RequestFacts, requestOf } from './external.ts';
import { certificateCheck } from './external-certificates.ts';
import { checkConfiguration, hostChecks, inspected, sentenceOfToken } from './preflight.ts';
import type { ServerRequest } from './site.ts';

/** Milliseconds that a clock may be behind the journal: a correction by a time server. */
const SMALL_STEP_BACK = 60_000;

/** Everything that can be known before an unfinished `server-install` goes on, and nothing that it made itself. */
export function resumeChecks(host: Host, request: ServerRequest, journal: JournalFile): Check[] {
  const hasAuthority = journal.entry('certificate-authority')?.state === 'done';
  const made = request.external && !hasAuthority ? requestOf(journal) : undefined;
  return [
    ...hostChecks(host, request, () => checkConfiguration(request)),
    clockOrderCheck(journal),
    ...(hasAuthority ? [] : [overrideCheck(request, journal)]),
    {
      id: 'token',
      title: hasAuthority
        ? `The keys of the CA are on the token ${request.token.label}`
        : `The token ${request.token.label} can take the keys`,
      run: () => (hasAuthority ? checkKeys(host, request) : checkToken(host, request, made)),
    },
    ...(made && request.certificateFiles ? [certificateCheck(request.certificateFiles, made)] : []),
  ];
}

/** That the clock did not go back since the installation began. */
export function clockOrderCheck(journal: JournalFile): Check {
  return {
    id: 'clock-order',
    title: 'The clock did not go back since the installation began',
    run: () => checkOrder(journal),
  };
}

/** A certificate that was made in what is now the future is not valid yet, and no service would accept it. */
async function checkOrder({ journal }: JournalFile): Promise<undefined> {
  const last = [journal.started, ...journal.steps.map(({ at }) => at)].toSorted().at(-1) ?? '';
  const now = new Date();
  if (now.getTime() >= new Date(last).getTime() - SMALL_STEP_BACK) return;
  throw refusal(
    'clock-went-back',
    `The clock says ${now.toISOString()}, but a step of this installation was taken at ${last}.`,
    'Set the clock, best from a time server; then resume. Or take everything back with --undo.',
  );
}

function overrideCheck(request: ServerRequest, journal: JournalFile): Check {
  return {
    id: 'override',
    title: 'The override file is the one that the installation began with',
    async run() {
      const { overrideDigest } = journal.journal.site;
      if ((await overrideDigestOf(request.override)) === overrideDigest) return undefined;
      throw refusal(
        'override-changed',
        `The override file ${request.override} is not what it was when the installation began.`,
        'Put it back as it was, or take everything back with --undo and begin again.',
      );
    },
  };
}

/** SHA-256 of an override file, hexadecimal; undefined without one. @throws what reading the file throws */
export async function overrideDigestOf(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
}

/** Objects of the CA are no hindrance: those that this installation began to make are deleted before it goes on. */
async function checkToken(
  host: Host,
  request: ServerRequest,
  made: RequestFacts | undefined,
): Promise<string> {
  const inspection = await inspected(host, request, []);
  if (made) requireKey(inspection, made);
  return sentenceOfToken(inspection);
}

/** A token of the same name is not the same: the key of the request is on one, and on its copies. */
function requireKey({ token, objects }: Inspection, { keyId, tokenSerial, publicKey }: RequestFacts): void {
  const { n = '' } = createPublicKey(publicKey).export({ format: 'jwk' });
  const modulus = Buffer.from(n, 'base64url').toString('hex').replace(/^0+/, '');
  const key = objects.find((one) => one.class === 'private-key' && one.id === keyId);
  if (key && (key.modulus === undefined || key.modulus === modulus)) return;
  throw token.serial === tokenSerial
    ? refusal(
        'token-keys-missing',
        `The token ${token.label} no longer holds the key of the CA, which its request was made with.`,
        'Bring it back with the tool of the HSM, or take everything back with --undo and begin again.',
      )
    : refusal(
        'token-changed',
        `The token ${token.label} is another one: its serial number is ${token.serial}, that of the token with the key of the CA is ${tokenSerial}, and this one does not have the key.`,
        'Connect the token on which the request was made. With another one the installation has to begin again.',
      );
}

async function checkKeys(host: Host, request: ServerRequest): Promise<string> {
  const inspection = await inspected(host, request, []);
  const missing = keysFor(inspection.objects, CA_TOKEN_NICKNAMES).filter(
    ({ privateKeys }) => privateKeys.length === 0,
  );
  if (missing.length === 0) return sentenceOfToken(inspection);
  throw refusal(
    'token-keys-missing',
    `The token ${request.token.label} no longer holds the keys of ${missing.map(({ nickname }) => `"${nickname}"`).join(', ')}.`,
    'Bring them back with the tool of the HSM, or take everything back with --undo and begin again.',
  );
}
