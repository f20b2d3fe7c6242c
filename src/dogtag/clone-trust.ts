import { failure } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { firstCertificate } from '../names/pem.ts';
import { withPrivateFolder } from '../secret/private-file.ts';
import { CA_SIGNING_NICKNAME } from './certificates.ts';
import { trustAbove } from './external-chain.ts';
import { instancePins, nssDatabase } from './nssdb.ts';

const AUDIT_NICKNAME = 'auditSigningCert cert-pki-ca';
const KRA_AUDIT_NICKNAME = 'auditSigningCert cert-pki-kra';

/** A certificate that an instance trusts; the flags are certutil(1)'s. */
interface TrustedCertificate {
  nickname: string;
  flags: string;
  /** PEM. */
  certificate: string;
}

/** The flags of what a clone must trust: those of the first server, made by pkispawn. */
const CA_TRUST = 'CT,C,C';
const AUDIT_TRUST = ',,P';

/**
 * Puts the certificate of the CA and that of the audit log into the internal token of a clone, trusted as on the first
 * server. pkispawn imports the first only where it looks for a PKCS#12 file or makes the clone in one run, and the
 * second never: without it a KRA clone in the same instance refuses to start ("Certificate type not approved for
 * application", seen on 10.10.2). Safe to call twice; call it between two runs of pkispawn, or after a single one.
 * @param token the label of the token with the keys, to which Dogtag's password.conf has the PIN
 * @param caCertificate PEM; those of the authorities above it may follow
 * @throws CapstanError `clone-trust`, `token-pin-missing`, `command-failed`
 */
export async function trustCloneCertificates(
  host: Host,
  instance: string,
  token: string,
  caCertificate: string,
): Promise<void> {
  const audit = await certificateOn(host, instance, token, AUDIT_NICKNAME);
  await trust(host, instance, [
    { nickname: CA_SIGNING_NICKNAME, flags: CA_TRUST, certificate: firstCertificate(caCertificate) },
    { nickname: AUDIT_NICKNAME, flags: AUDIT_TRUST, certificate: audit },
  ]);
  await trustAbove(host, instance, caCertificate);
}

/**
 * Puts the certificate of a KRA's audit log from the token into the internal token of an instance, trusted; before a
 * clone of that KRA is made, see {@link trustCloneCertificates}. Safe to call twice.
 * @throws CapstanError `clone-trust`, `token-pin-missing`, `command-failed`
 */
export async function trustKraAudit(host: Host, instance: string, token: string): Promise<void> {
  const certificate = await certificateOn(host, instance, token, KRA_AUDIT_NICKNAME);
  await trust(host, instance, [{ nickname: KRA_AUDIT_NICKNAME, flags: AUDIT_TRUST, certificate }]);
}

/** Takes that certificate out of the internal token again; that it is not there is no error. */
export async function distrustKraAudit(host: Host, instance: string): Promise<void> {
  const database = ['-d', nssDatabase(instance)];
  const { stdout } = await host.run('certutil', ['-L', ...database], { accept: [0, 255] });
  if (!parseTrust(stdout).has(KRA_AUDIT_NICKNAME)) return;
  const pins = await instancePins(instance);
  await withPrivateFolder(async (folder) => {
    const pin = folder.write('internal', pins.pin(undefined));
    await host.run('certutil', ['-D', ...database, '-f', pin, '-n', KRA_AUDIT_NICKNAME]);
  });
}

/** A certificate on a token that Dogtag's password.conf has the PIN of, PEM. */
async function certificateOn(host: Host, instance: string, token: string, nickname: string): Promise<string> {
  const pins = await instancePins(instance);
  return withPrivateFolder(async (folder) => {
    const where = ['-d', nssDatabase(instance), '-h', token, '-f', folder.write('token', pins.pin(token))];
    const { stdout } = await host.run('certutil', ['-L', ...where, '-n', `${token}:${nickname}`, '-a']);
    return stdout;
  });
}

/** Imports certificates into the internal token, and looks whether they are there and trusted. */
async function trust(
  host: Host,
  instance: string,
  certificates: readonly TrustedCertificate[],
): Promise<void> {
  const pins = await instancePins(instance);
  await withPrivateFolder(async (folder) => {
    const where = ['-d', nssDatabase(instance), '-f', folder.write('internal', pins.pin(undefined))];
    for (const { nickname, flags, certificate } of certificates) {
      const what = ['-n', nickname, '-t', flags, '-a'];
      await host.run('certutil', ['-A', ...where, ...what], { input: certificate });
    }
  });
  await proveTrust(host, instance, certificates);
}

async function proveTrust(
  host: Host,
  instance: string,
  certificates: readonly TrustedCertificate[],
): Promise<void> {
  const { stdout } = await host.run('certutil', ['-L', '-d', nssDatabase(instance)]);
  const found = parseTrust(stdout);
  for (const { nickname, flags: wanted } of certificates) {
    const flags = found.get(nickname);
    if (flags !== undefined && hasTrust(flags, wanted)) continue;
    throw failure(
      'clone-trust',
      flags === undefined
        ? `The internal token of ${instance} does not hold "${nickname}".`
        : `The internal token of ${instance} trusts "${nickname}" as ${flags} instead of ${wanted}.`,
      `Look at it with "certutil -L -d ${nssDatabase(instance)}": the certificate may be there under another name.`,
    );
  }
}

/** The trust flags in the output of `certutil -L`, by nickname. */
export function parseTrust(output: string): Map<string, string> {
  const lines = output.matchAll(/^(\S.*?)\s+([a-zA-Z]*,[a-zA-Z]*,[a-zA-Z]*)\s*$/gm);
  return new Map([...lines].map(([, nickname = '', flags = '']) => [nickname, flags]));
}

/** Whether flags hold at least the wanted ones; `u`, that there is a key, comes and goes with the token. */
export function hasTrust(flags: string, wanted: string): boolean {
  const parts = flags.split(',');
  return wanted.split(',').every((part, index) => [...part].every((flag) => parts[index]?.includes(flag)));
}
