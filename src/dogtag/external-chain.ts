import { X509Certificate } from 'node:crypto';
import { failure } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { firstCertificate, pemCertificates } from '../names/pem.ts';
import { withPrivateFolder } from '../secret/private-file.ts';
import { CA_SIGNING_NICKNAME } from './certificates.ts';
import { certificatePem, instancePins, nssDatabase, tokenCertificate, trustFlags } from './nssdb.ts';

/** The flags of what a CA trusts: its own certificate and those above it; those of pkispawn (10.10.2). */
export const CA_TRUST = 'CT,C,C';
/** How the nicknames of the authorities above the CA begin; a number follows, the issuer of the CA has 1. */
export const ABOVE = 'externalCACert cert-pki-ca';

/**
 * Puts the certificate of a CA that another authority signed where Dogtag looks for it, on the token beside its key and
 * in the internal token, and those above it into the internal token, all trusted. Call it when the instance knows the
 * token, and before the CA is configured: pkispawn would put the first into the wrong token (10.10.2, where the
 * configuration has the internal token for its default). Safe to call twice.
 * @param token its label; Dogtag's password.conf has the PIN
 * @param chain PEM, the certificate of the CA first, its issuer next, the root last
 * @throws CapstanError `external-chain-not-stored`, `token-pin-missing`, `command-failed`
 */
export async function storeExternalChain(
  host: Host,
  instance: string,
  token: string,
  chain: string,
): Promise<void> {
  const [own = ''] = pemCertificates(chain);
  const pins = await instancePins(instance);
  await withPrivateFolder(async (folder) => {
    const pin = folder.write('token', pins.pin(token));
    // certutil cannot put trust on a certificate on a token, says so, and has stored it all the same (NSS 3.61).
    await host.run(
      'certutil',
      [...at(instance), '-A', '-h', token, '-f', pin, '-n', CA_SIGNING_NICKNAME, '-t', ',,', '-a'],
      { input: own, accept: [0, 255] },
    );
  });
  const stored = await tokenCertificate(host, instance, token, CA_SIGNING_NICKNAME).catch(() => '');
  if (bare(stored) !== bare(own))
    throw failure(
      'external-chain-not-stored',
      `The token ${token} does not hold the certificate of the CA after it was put there.`,
      'Look at the log of this run, and at the token with the tool of its vendor.',
    );
  await trustCertificate(host, instance, CA_SIGNING_NICKNAME, own);
  await trustAbove(host, instance, chain);
}

/**
 * Has an instance trust the authorities above its CA, where there are some.
 * @param chain as for {@link storeExternalChain}
 * @throws CapstanError `token-pin-missing`, `command-failed`
 */
export async function trustAbove(host: Host, instance: string, chain: string): Promise<void> {
  for (const [index, certificate] of pemCertificates(chain).slice(1).entries()) {
    await trustCertificate(host, instance, `${ABOVE} ${index + 1}`, certificate);
  }
}

async function trustCertificate(host: Host, instance: string, nickname: string, certificate: string) {
  const pins = await instancePins(instance);
  await withPrivateFolder(async (folder) => {
    const pin = folder.write('internal', pins.pin(undefined));
    await host.run('certutil', [...at(instance), '-A', '-f', pin, '-n', nickname, '-t', CA_TRUST, '-a'], {
      input: certificate,
    });
  });
}

/**
 * The certificate of the CA of an instance, and behind it those of the authorities above it, PEM.
 * @throws CapstanError `command-failed`
 */
export async function caChain(host: Host, instance: string): Promise<string> {
  const own = firstCertificate(await certificatePem(host, instance, CA_SIGNING_NICKNAME));
  const { subject, issuer } = new X509Certificate(own);
  if (subject === issuer) return own;
  const names = Object.keys(await trustFlags(host, instance)).filter((name) => name.startsWith(`${ABOVE} `));
  const above: string[] = [];
  for (const name of names.toSorted((one, other) => orderOf(one) - orderOf(other)))
    above.push(firstCertificate(await certificatePem(host, instance, name)));
  return [own, ...above].join('');
}

function orderOf(nickname: string): number {
  return Number(nickname.slice(ABOVE.length));
}

function at(instance: string): string[] {
  return ['-d', nssDatabase(instance)];
}

function bare(pem: string): string {
  return firstCertificate(pem).replaceAll(/\s/g, '');
}
