import { isAbsolute } from 'node:path';
import { type Command, Option } from 'commander';
import { refusal } from '../../src/errors.ts';
import { type Dn, escapeValue, formatDn, parseDn, valuesOf } from '../../src/names/dn.ts';
import { flawOfPath } from '../../src/names/path.ts';
import { quoted } from '../../src/names/quoted.ts';
import { flawOfSubject } from '../../src/names/subject.ts';
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
      new Option('--key-size <bits>', 'size of the RSA key of the CA (default: 3072)').choices(
        KEY_SIZES.map(String),
      ),
    )
    .option(
      '--pki-config-override <file>',
      "further settings for pkispawn, except those that are Capstan's own",
    );
}

/**
 * The subjects, in the string form of RFC 4514.
 * @throws CapstanError `dn-invalid`, `subject-invalid`, `ca-subject-invalid`, `override-path-invalid`,
 *   `option-unprintable`, `option-too-long`
 */
export async function readSubjects(values: SubjectValues, realm: string): Promise<Subjects> {
  const text = values.subjectBase ?? `O=${escapeValue(realm)}`;
  // First and alone: the default of the CA's subject would only repeat what is wrong with it.
  const subjectBase = formatDn(parseSubject('--subject-base', text));
  return together<Subjects>({
    subjectBase: () => subjectBase,
    caSubject: () => parseCaSubject(values.caSubject ?? `CN=Certificate Authority,${subjectBase}`),
    keySize: () => Number(values.keySize ?? 3072) as KeySize,
    override: () => parseOverride(values.pkiConfigOverride),
  });
}

/** A name that can be in a certificate that Dogtag issues. */
function parseSubject(option: string, text: string): Dn {
  const dn = parseDn(printable(option, text));
  const flaw = flawOfSubject(dn);
  if (flaw) {
    throw refusal(
      'subject-invalid',
      `${quoted(text)} cannot be in the subjects of certificates (${option}): ${flaw}.`,
      option === '--subject-base'
        ? 'Give another one with --subject-base, as in O=EXAMPLE.TEST; unless told it is O= and the realm.'
        : 'Write it as in --ca-subject "CN=Certificate Authority,O=EXAMPLE.TEST"',
    );
  }
  return dn;
}

/** A CA is found by its common name in every client's trust store, so it must have one. */
function parseCaSubject(text: string): string {
  const dn = parseSubject('--ca-subject', text);
  if (valuesOf(dn, 'CN').length !== 1) {
    throw refusal(
      'ca-subject-invalid',
      `${quoted(text)} cannot be the subject of the CA (--ca-subject): it must have exactly one CN.`,
      'Write it as in --ca-subject "CN=Certificate Authority,O=EXAMPLE.TEST"',
    );
  }
  return formatDn(dn);
}

function parseOverride(path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  const flaw = flawOfPath(path) ?? (isAbsolute(path) ? undefined : 'has no absolute path');
  if (flaw) {
    throw refusal(
      'override-path-invalid',
      `The file that --pki-config-override names, ${quoted(path)}, ${flaw}.`,
      'Give the path from the root on: /etc/capstan/pki-override.ini',
    );
  }
  return path;
}
