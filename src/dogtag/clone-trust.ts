import { failure } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { withPrivateFolder } from '../secret/private-file.ts';
import { CA_SIGNING_NICKNAME } from './certificates.ts';
import { instancePins, nssDatabase } from './nssdb.ts';

const AUDIT_NICKNAME = 'auditSigningCert cert-pki-ca';

/** What a clone must trust, and how; the flags are certutil(1)'s. Those of the first CA, made by pkispawn. */
const TRUST = { [CA_SIGNING_NICKNAME]: 'CT,C,C', [AUDIT_NICKNAME]: ',,P' } as const;

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
  const pins = await instancePins(instance);
  await withPrivateFolder(async (folder) => {
    const database = ['-d', nssDatabase(instance)];
    const internalPin = folder.write('internal', pins.pin(undefined));
    const tokenPin = folder.write('token', pins.pin(token));
    const { stdout: audit } = await host.run('certutil', [
      ...['-L', ...database, '-h', token, '-f', tokenPin, '-n', `${token}:${AUDIT_NICKNAME}`, '-a'],
    ]);
    const pem = { [CA_SIGNING_NICKNAME]: caCertificate, [AUDIT_NICKNAME]: audit };
    for (const nickname of [CA_SIGNING_NICKNAME, AUDIT_NICKNAME] as const) {
      const flags = ['-n', nickname, '-t', TRUST[nickname], '-a'];
      await host.run('certutil', ['-A', ...database, '-f', internalPin, ...flags], { input: pem[nickname] });
    }
  });
  await proveTrust(host, instance);
}

async function proveTrust(host: Host, instance: string): Promise<void> {
  const { stdout } = await host.run('certutil', ['-L', '-d', nssDatabase(instance)]);
  const found = parseTrust(stdout);
  for (const [nickname, wanted] of Object.entries(TRUST)) {
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
