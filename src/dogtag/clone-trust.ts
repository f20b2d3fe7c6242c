import { failure } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { withPrivateFolder } from '../secret/private-file.ts';
import { CA_SIGNING_NICKNAME } from './certificates.ts';
import { instancePins, nssDatabase } from './nssdb.ts';

const AUDIT_NICKNAME = 'auditSigningCert cert-pki-ca';
const KRA_AUDIT_NICKNAME = 'auditSigningCert cert-pki-kra';

/** How the certificate of an audit log is trusted. */
const AUDIT_TRUST = ',,P';

/** What a clone must trust, and how; the flags are certutil(1)'s. Those of the first CA, made by pkispawn. */
const TRUST = { [CA_SIGNING_NICKNAME]: 'CT,C,C', [AUDIT_NICKNAME]: AUDIT_TRUST };

/**
 * Puts the certificate of the CA and that of the audit log into the internal token of a clone, trusted as on the first
 * server. pkispawn imports the first only where it looks for a PKCS#12 file or makes the clone in one run, and the
 * second never: without it a KRA clone in the same instance refuses to start ("Certificate type not approved for
 * application", seen on 10.10.2). Safe to call twice; call it between two runs of pkispawn, or after a single one.
 * @param token the label of the token with the keys, to which Dogtag's password.conf has the PIN
 * @param caCertificate PEM
 * @throws CapstanError `clone-trust`, `token-pin-missing`, `command-failed`
 */
export async function trustCloneCertificates(
  host: Host,
  instance: string,
  token: string,
  caCertificate: string,
): Promise<void> {
  await trust(host, instance, TRUST, async (readToken) => ({
    [CA_SIGNING_NICKNAME]: caCertificate,
    [AUDIT_NICKNAME]: await readToken(token, AUDIT_NICKNAME),
  }));
}

/**
 * Puts the certificate of a KRA's audit log from the token into the internal token of an instance, trusted; before a
 * clone of that KRA is made, see {@link trustCloneCertificates}. Safe to call twice.
 * @throws CapstanError `clone-trust`, `token-pin-missing`, `command-failed`
 */
export async function trustKraAudit(host: Host, instance: string, token: string): Promise<void> {
  await trust(host, instance, { [KRA_AUDIT_NICKNAME]: AUDIT_TRUST }, async (readToken) => ({
    [KRA_AUDIT_NICKNAME]: await readToken(token, KRA_AUDIT_NICKNAME),
  }));
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

/** Imports certificates into the internal token with flags, each by its nickname, and looks whether they are there. */
async function trust(
  host: Host,
  instance: string,
  flags: Readonly<Record<string, string>>,
  pems: (
    readToken: (token: string, nickname: string) => Promise<string>,
  ) => Promise<Readonly<Record<string, string>>>,
): Promise<void> {
  const pins = await instancePins(instance);
  const database = ['-d', nssDatabase(instance)];
  await withPrivateFolder(async (folder) => {
    const internalPin = folder.write('internal', pins.pin(undefined));
    const certificates = await pems(async (token, nickname) => {
      const tokenPin = folder.write('token', pins.pin(token));
      const where = ['-h', token, '-f', tokenPin, '-n', `${token}:${nickname}`, '-a'];
      return (await host.run('certutil', ['-L', ...database, ...where])).stdout;
    });
    for (const [nickname, pem] of Object.entries(certificates)) {
      const what = ['-n', nickname, '-t', flags[nickname] ?? '', '-a'];
      await host.run('certutil', ['-A', ...database, '-f', internalPin, ...what], { input: pem });
    }
  });
  await proveTrust(host, instance, flags);
}

async function proveTrust(
  host: Host,
  instance: string,
  wantedFlags: Readonly<Record<string, string>>,
): Promise<void> {
  const { stdout } = await host.run('certutil', ['-L', '-d', nssDatabase(instance)]);
  const found = parseTrust(stdout);
  for (const [nickname, wanted] of Object.entries(wantedFlags)) {
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
