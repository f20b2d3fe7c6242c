/** What 389 Directory Server leaves that helps to find a fault, and the secrets that could stand in it. */
import { readdir } from 'node:fs/promises';
import {
  type Evidence,
  fileEvidence,
  lookEvidence,
  missingEvidence,
  outputEvidence,
  textIfThere,
} from '../host/evidence.ts';
import { withLocalDirectory } from './client.ts';
import { type DirectoryInstance, instanceFolder, instanceUnit } from './instance.ts';
import { hostAuthorityDn } from './tree.ts';

const MIB = 1024 * 1024;
const FOLDER = '/etc/dirsrv';
const LOGS = '/var/log/dirsrv';
const PREFIX = 'slapd-';

/** The names of the instances of this host; those that have logs alone are there no more, or not yet. */
export async function instanceNames(): Promise<string[]> {
  const folders = await Promise.all([FOLDER, LOGS].map((folder) => readdir(folder).catch(() => [])));
  const names = folders.flat().filter((name) => name.startsWith(PREFIX) && !name.endsWith('.removed'));
  return [...new Set(names.map((name) => name.slice(PREFIX.length)))].sort();
}

/** The logs, the configuration and the files of one instance. */
export function directoryEvidence(name: string): Evidence[] {
  const place = `directory/${name}`;
  const folder = instanceFolder({ name });
  const log = `${LOGS}/${PREFIX}${name}`;
  return [
    fileEvidence(`${place}/errors`, 'what the directory reports', `${log}/errors`),
    fileEvidence(`${place}/access`, 'operations on the directory', `${log}/access`, { limit: MIB / 2 }),
    fileEvidence(`${place}/dse.ldif`, 'the configuration of the directory', `${folder}/dse.ldif`, {
      form: 'fields',
      limit: 4 * MIB,
    }),
    fileEvidence(`${place}/pkcs11.txt`, 'the PKCS#11 modules of its NSS database', `${folder}/pkcs11.txt`),
    outputEvidence(`${place}/certificates.txt`, 'its certificates, seen without a password', [
      ...(['certutil', '-L', '-d', folder] as const),
    ]),
    outputEvidence(`${place}/files.txt`, 'its files, and whose they are', [
      ...([
        'ls',
        '-lA',
        '--full-time',
        folder,
        `${folder}/schema`,
        `/var/lib/dirsrv/${PREFIX}${name}`,
        log,
      ] as const),
    ]),
  ];
}

/** What the entry of the CA may say; the HSM record is the last one (FreeIPA's class `ipaCa`). */
const RECORD_ATTRIBUTES = [
  'objectClass',
  'cn',
  'description',
  'ipaCaId',
  'ipaCaSubjectDN',
  'ipaCaIssuerDN',
  'ipaCaHSMConfiguration',
];

/** The HSM record, as the directory has it now. */
export function recordEvidence(instance: DirectoryInstance | undefined): Evidence {
  const member = 'directory/hsm-record.ldif';
  const what = 'the HSM record in the directory';
  if (!instance) {
    return missingEvidence(member, what, 'LDAP', 'Capstan has no journal here that tells the domain.');
  }
  const dn = hostAuthorityDn(instance.suffix);
  const read = async (host: Parameters<Evidence['fetch']>[0]) => {
    const entry = await withLocalDirectory(host, instance, (directory) =>
      directory.entry(dn, RECORD_ATTRIBUTES),
    );
    if (!entry) throw new Error('The directory has no such entry.');
    const lines = RECORD_ATTRIBUTES.flatMap((name) => entry.values(name).map((value) => `${name}: ${value}`));
    return `dn: ${entry.dn}\n${lines.join('\n')}\n`;
  };
  // Bind and search.
  return lookEvidence(member, what, `LDAP, ${dn}`, read, ({ ldap }) => 2 * ldap);
}

/** The unit of an instance, for systemctl(1). */
export function directoryUnits(name: string): string[] {
  return [instanceUnit({ name })];
}

/** The PIN of each instance's NSS database: dscreate keeps it in pwdfile.txt, and in pin.txt after the token's name. */
export async function directorySecrets(): Promise<string[]> {
  const files = (await instanceNames()).flatMap((name) =>
    ['pwdfile.txt', 'pin.txt'].map((file) => `${instanceFolder({ name })}/${file}`),
  );
  const texts = await Promise.all(files.map((file) => textIfThere(file)));
  return texts.flatMap((text) => text.split('\n').flatMap(pinsOf));
}

function pinsOf(line: string): string[] {
  const text = line.trim();
  const pin = /^[^:]*Token[^:]*:(.+)$/.exec(text)?.[1];
  return [text, ...(pin === undefined ? [] : [pin])].filter((value) => value !== '');
}
