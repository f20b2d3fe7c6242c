/**
 * Which CA of a cluster generates the CRLs. Each of them could, and Dogtag decides by its own CS.cfg; the parameters are
 * those that pkispawn sets for a clone and that FreeIPA's ipa-crlgen-manage changes (10.10.2, seen).
 */
import { readFile } from 'node:fs/promises';
import { failure } from '../errors.ts';
import { editFile } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { isActive } from '../host/services.ts';
import { CA_SUFFIX } from './deployment.ts';
import { instanceUnit } from './destroy.ts';
import { instanceConfiguration } from './nssdb.ts';
import { postForm, type TrustedCa } from './rest.ts';

/**
 * What a CA does about CRLs. One that is `deaf` generates them and does not hear of what other CAs revoke, which is how
 * pkispawn leaves a first CA; `mixed` is what FreeIPA calls inconsistent.
 */
export type CrlGeneration = 'on' | 'deaf' | 'off' | 'mixed';

/** The parameters with their values where CRLs are generated and where they are not; undefined: not in the file. */
const PARAMETERS: readonly { key: string; on: string | undefined; off: string }[] = [
  { key: 'ca.crl.MasterCRL.enableCRLCache', on: 'true', off: 'false' },
  { key: 'ca.crl.MasterCRL.enableCRLUpdates', on: 'true', off: 'false' },
  // Whether it learns what is revoked on the others. pkispawn leaves it out on the first CA, where it means no.
  { key: 'ca.listenToCloneModifications', on: 'true', off: 'false' },
  // Seconds between looks for certificates that expired; without the parameter 600, with 0 never.
  { key: 'ca.certStatusUpdateInterval', on: undefined, off: '0' },
];

/** What the text of a CS.cfg makes of CRLs. */
export function crlGenerationIn(text: string): CrlGeneration {
  const [cache, updates, listens, interval] = PARAMETERS.map(({ key }) =>
    settingOf(text, key)?.toLowerCase(),
  );
  const generates = (cache ?? 'true') === 'true';
  if (generates !== ((updates ?? 'true') === 'true')) return 'mixed';
  if (generates && interval === '0') return 'mixed';
  if (generates) return listens === 'true' ? 'on' : 'deaf';
  return listens === 'true' ? 'mixed' : 'off';
}

/** The text of a CS.cfg in which a CA does what it is to do about CRLs; nothing else is changed. */
export function withCrlGeneration(text: string, generation: 'on' | 'off'): string {
  const lines = text.split('\n');
  for (const parameter of PARAMETERS) {
    const wanted = parameter[generation];
    const line = wanted === undefined ? [] : [`${parameter.key}=${wanted}`];
    const at = lines.findIndex((one) => one.startsWith(`${parameter.key}=`));
    if (at >= 0) lines.splice(at, 1, ...line);
    else lines.splice(lines.at(-1) === '' ? -1 : lines.length, 0, ...line);
  }
  return lines.join('\n');
}

function settingOf(text: string, key: string): string | undefined {
  const line = text.split('\n').find((one) => one.startsWith(`${key}=`));
  return line?.slice(key.length + 1).trim();
}

/** The configuration of the CA of an instance. */
export function caConfiguration(instance: string): string {
  return `${instanceConfiguration(instance)}/ca/CS.cfg`;
}

/** What the CA of an instance does about CRLs from its next start on. @throws an ENOENT where there is no CA */
export async function crlGeneration(instance: string): Promise<CrlGeneration> {
  return crlGenerationIn(await readFile(caConfiguration(instance), 'utf8'));
}

/**
 * Sets what the CA of an instance does about CRLs from its next start on.
 * @throws CapstanError `dogtag-running`: Dogtag writes its configuration from memory and would undo this
 */
export async function setCrlGeneration(
  host: Host,
  instance: string,
  generation: 'on' | 'off',
): Promise<void> {
  if (await isActive(host, instanceUnit(instance))) {
    throw failure(
      'dogtag-running',
      `${caConfiguration(instance)} cannot be changed while ${instanceUnit(instance)} runs.`,
    );
  }
  await editFile(caConfiguration(instance), (text) => withCrlGeneration(text, generation));
}

/** The entry with the last CRL, its attribute `certificateRevocationList`; whoever generates it writes it there. */
export const CRL_DN = `cn=MasterCRL,ou=crlIssuingPoints,ou=ca,${CA_SUFFIX}`;

/**
 * Has a CA generate the CRL now, from all that is revoked instead of from what it remembers: its memory, which is kept in
 * the directory, lacks what another CA revoked while nobody listened (10.10.2, seen).
 * @param ca with an agent
 * @returns false from a CA that does not generate CRLs
 * @throws CapstanError `crl-not-generated`, `ca-unreachable`, `ca-refused`, `interrupted`
 */
export async function generateCrl(host: Host, ca: TrustedCa): Promise<boolean> {
  const answer = await postForm(host, ca, '/ca/agent/ca/updateCRL', {
    crlIssuingPoint: 'MasterCRL',
    clearCRLCache: 'true',
    waitForUpdate: 'true',
    xml: 'true',
  });
  const word = updateWord(answer);
  if (word === 'done') return true;
  if (word === 'not-a-generator') return false;
  throw failure('crl-not-generated', `The CA at ${ca.hostname} generated no CRL: ${word}.`);
}

/** What an answer of updateCRL says: `done`, `not-a-generator`, or the CA's own word for what is wrong. */
export function updateWord(answer: string): string {
  const element = (name: string) => new RegExp(`<${name}>([^<]*)</${name}>`).exec(answer)?.[1];
  const update = element('crlUpdate');
  if (update === 'notInitialized' || update === 'Disabled') return 'not-a-generator';
  if (update !== undefined && update !== 'Success') return update;
  if (update === 'Success' || element('time') !== undefined) return 'done';
  return element('error') ?? element('Error') ?? 'unreadable answer';
}

/** A CRL that was verified. */
export interface CrlFacts {
  number: string;
  nextUpdate: Date;
}

/**
 * Reads a CRL and verifies its signature.
 * @param der as it is in the directory
 * @param caFile the CA certificate, PEM
 * @throws CapstanError `crl-unverified`, `command-failed`
 */
export async function readCrl(host: Host, der: Buffer, caFile: string): Promise<CrlFacts> {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  const pem = ['-----BEGIN X509 CRL-----', ...lines, '-----END X509 CRL-----', ''].join('\n');
  const { stdout, stderr } = await host.run(
    'openssl',
    ['crl', '-noout', '-CAfile', caFile, '-crlnumber', '-nextupdate'],
    { input: pem, accept: [0, 1] },
  );
  const number = /^crlNumber=(?:0x)?(\S+)/m.exec(stdout)?.[1];
  const nextUpdate = new Date(/^nextUpdate=(.*)$/m.exec(stdout)?.[1] ?? '');
  if (number !== undefined && /verify OK/.test(stderr + stdout)) return { number, nextUpdate };
  throw failure('crl-unverified', 'The last CRL does not verify with the certificate of the CA.');
}
