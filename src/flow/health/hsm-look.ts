/** What the token is asked when its health is judged: without a login, and with the PIN that Dogtag keeps. */
import { X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { INSTANCE } from '../../dogtag/certificates.ts';
import type { DogtagConfiguration } from '../../dogtag/configuration.ts';
import { instancePins, passwordFile, trustFlags } from '../../dogtag/nssdb.ts';
import { CapstanError, failure } from '../../errors.ts';
import { isIssuedBy } from '../../health/checks/certificates.ts';
import type { HsmFacts, HsmLogin, KeyLook, ServerFacts } from '../../health/facts.ts';
import { removeFile, writeFileAtomically } from '../../host/files.ts';
import type { Host } from '../../host/host.ts';
import { type Module, withModule } from '../../hsm/module.ts';
import { lookForKeys } from '../../hsm/possession.ts';
import { modulusOf, protectionProblems } from '../../hsm/proof.ts';
import { selectToken } from '../../hsm/token.ts';
import { PKI_USER, type TokenChoice } from '../site.ts';
import { onToken } from '../token.ts';
import { seen } from '../token-look.ts';

/**
 * The token and its certificates, seen as Dogtag's user without a login.
 * @throws CapstanError `token-not-found`, `token-ambiguous`, and those of {@link withModule}
 */
export function tokenFacts(host: Host, { label, libraryPath }: TokenChoice): Promise<HsmFacts> {
  const look = () =>
    withModule(host, { libraryPath, user: PKI_USER }, async (module) => {
      const token = selectToken(await module.tokens(), label);
      const objects = await module.objects(token.slot);
      const certificates = objects.flatMap(({ class: kind, label: name, value }) =>
        kind === 'certificate' && value !== undefined ? [{ label: name, der: value }] : [],
      );
      return { token, certificates };
    });
  return seen(host, look);
}

/** Where it is remembered that a PIN was refused: in memory, until the host is booted. */
export const REFUSED_PIN = '/run/capstan/pin-refused';

/**
 * Logs in with the PIN that Dogtag keeps, and has each key sign. A PIN that was refused is not tried again until
 * password.conf changes: not every token says how many tries are left, and a heartbeat would use them up.
 * @throws CapstanError `pin-refused-before`, `pin-incorrect`, `pin-locked`, ... and those of {@link withModule}
 */
export async function loggedIn(
  host: Host,
  { token, certificates }: ServerFacts,
  configuration: DogtagConfiguration,
  caCertificate: string,
): Promise<HsmLogin> {
  await requireUntried();
  const ca = new X509Certificate(caCertificate);
  const pin = (await instancePins(INSTANCE)).pin(token.label);
  const wanted = new Set(certificates.filter((one) => one.token === 'hsm').map(({ nickname }) => nickname));
  const sought = configuration.certificates
    .filter(({ nickname, certificate }) => wanted.has(nickname) && isIssuedBy(ca, certificate))
    .map(({ nickname, certificate }) => ({ nickname, certificate: Buffer.from(certificate, 'base64') }));
  try {
    const keys = await onToken(host, token, pin, async (module, slot) =>
      withWeaknesses(module, slot, await lookForKeys(module, slot, sought, ca), sought),
    );
    return { keys };
  } catch (error) {
    if (error instanceof CapstanError && error.code.startsWith('pin-')) await rememberRefusal();
    throw error;
  }
}

type Sought = { nickname: string; certificate: Buffer };

async function withWeaknesses(
  module: Module,
  slot: number,
  findings: readonly Omit<KeyLook, 'weaknesses'>[],
  sought: readonly Sought[],
): Promise<KeyLook[]> {
  const objects = await module.objects(slot);
  return findings.map((finding) => {
    const certificate = sought.find(({ nickname }) => nickname === finding.nickname)?.certificate;
    const modulus = certificate && modulusOf(new X509Certificate(certificate));
    const key = objects.find((item) => item.class === 'private-key' && modulus && item.modulus === modulus);
    return { ...finding, weaknesses: key ? protectionProblems(key) : [] } as KeyLook;
  });
}

/** What tells one content of password.conf from another, without keeping any of it. */
async function passwordsChanged(): Promise<string> {
  const { ctimeMs, ino } = await stat(passwordFile(INSTANCE));
  return `${ino} ${ctimeMs}`;
}

async function requireUntried(): Promise<void> {
  const refused = await readFile(REFUSED_PIN, 'utf8').catch(() => undefined);
  if (refused === undefined) return;
  if (refused !== (await passwordsChanged())) {
    await removeFile(REFUSED_PIN);
    return;
  }
  throw failure(
    'pin-refused-before',
    'The token refused the PIN that Dogtag keeps; it was not tried again.',
    `Correct ${passwordFile(INSTANCE)}. Where it was the PIN of the token that was wrong, remove ${REFUSED_PIN}, so that it is tried once more.`,
  );
}

async function rememberRefusal(): Promise<void> {
  await writeFileAtomically(REFUSED_PIN, await passwordsChanged(), { mode: 0o600 });
}

/** The trust flags of the certificates on the token; certutil logs in with the PIN that was just good. */
export async function tokenTrust(host: Host, label: string): Promise<Record<string, string>> {
  const pin = (await instancePins(INSTANCE)).pin(label);
  return trustFlags(host, INSTANCE, { label, pin });
}
