import { isAbsolute } from 'node:path';
import { type Command, Option } from 'commander';
import { refusal } from '../../src/errors.ts';
import { escapeValue, formatDn, parseDn, valuesOf } from '../../src/names/dn.ts';
import { printable } from './field.ts';
import { together } from './together.ts';

/** RSA key sizes in bits that a CA here may have. */
export const KEY_SIZES = [2048, 3072, 4096] as const;
/** One of {@link KEY_SIZES}. */
export type KeySize = (typeof KEY_SIZES)[number];

/** What the certificate options leave behind. */
export interface SubjectValues {
  caSubject?: string;
  subjectBase?: string;
  keySize?: string;
  pkiConfigOverride?: string;
}

/** How the CA is named and how large its keys are. */
export interface Subjects {
  caSubject: string;
  subjectBase: string;
  keySize: KeySize;
  /** Absolute path of the file with further settings for pkispawn. */
  override: string | undefined;
}

/** Adds the options for subjects, key size and the override of the deployment configuration. */
export function subjectOptions(command: Command): Command {
  return command
    .optionsGroup('Certificates:')
    .option('--ca-subject <dn>', 'subject of the CA (default: CN=Certificate Authority,SUBJECT-BASE)')
    .option('--subject-base <dn>', 'what the subjects of all certificates end in (default: O=REALM)')
    .addOption(
      new Option('--key-size <bits>', 'size of the RSA key of the CA')
        .choices(KEY_SIZES.map(String))
        .default('3072'),
    )
    .option(
      '--pki-config-override <file>',
      "further settings for pkispawn, except those that are Capstan's own",
    );
}

/**
 * The subjects, in the string form of RFC 4514.
 * @throws CapstanError `dn-invalid`, `ca-subject-invalid`, `override-path-invalid`, `option-unprintable`
 */
export async function readSubjects(values: SubjectValues, realm: string): Promise<Subjects> {
  const text = values.subjectBase ?? `O=${escapeValue(realm)}`;
  // First and alone: the default of the CA's subject would only repeat what is wrong with it.
  const subjectBase = formatDn(parseDn(printable('--subject-base', text)));
  return together<Subjects>({
    subjectBase: () => subjectBase,
    caSubject: () => parseCaSubject(values.caSubject ?? `CN=Certificate Authority,${subjectBase}`),
    keySize: () => Number(values.keySize ?? 3072) as KeySize,
    override: () => parseOverride(values.pkiConfigOverride),
  });
}

/** A CA is found by its common name in every client's trust store, so it must have one. */
function parseCaSubject(text: string): string {
  const dn = parseDn(printable('--ca-subject', text));
  if (valuesOf(dn, 'CN').length !== 1) {
    throw refusal(
      'ca-subject-invalid',
      `"${text}" cannot be the subject of the CA: it must have exactly one CN.`,
      'Write it as in --ca-subject "CN=Certificate Authority,O=EXAMPLE.TEST"',
    );
  }
  return formatDn(dn);
}

function parseOverride(path: string | undefined): string | undefined {
  if (path !== undefined && !isAbsolute(printable('--pki-config-override', path))) {
    throw refusal(
      'override-path-invalid',
      `--pki-config-override names "${path}", which is not an absolute path.`,
      'Give the path from the root on: /etc/capstan/pki-override.ini',
    );
  }
  return path;
}
