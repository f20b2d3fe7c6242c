import { isAbsolute } from 'node:path';
import { type Command, Option } from 'commander';
import { refusal } from '../../src/errors.ts';
import type { ExternalCa } from '../../src/flow/site.ts';
import { flawOfPath } from '../../src/names/path.ts';
import { quoted } from '../../src/names/quoted.ts';
import { EXTERNAL_TYPES, parseProfile } from '../../src/names/template.ts';
import { printable } from './field.ts';

/** What the options of an externally signed CA leave behind. */
export interface ExternalValues {
  externalCa?: boolean;
  externalCaType?: string;
  externalCaProfile?: string;
  externalCertFile?: string[];
}

/** Microsoft's own template for subordinate authorities. */
const DEFAULT_PROFILE = 'SubCA';

/** Adds the options of a CA that another authority signs. */
export function externalOptions(command: Command): Command {
  return command
    .optionsGroup('A CA that another authority signs:')
    .option('--external-ca', 'make the key and a request for its certificate, and wait for that')
    .addOption(
      new Option('--external-ca-type <type>', 'which authority it is (default: generic)').choices([
        ...EXTERNAL_TYPES,
      ]),
    )
    .option(
      '--external-ca-profile <template>',
      `of ms-cs: the template, NAME or OID:MAJOR[:MINOR] (default: ${DEFAULT_PROFILE})`,
    )
    .option(
      '--external-cert-file <file>',
      'go on: the certificate, and all above it; PEM, DER or PKCS#7, once for each file',
      (file: string, files: string[] = []) => [...files, file],
    );
}

/**
 * The authority that is to sign the CA; undefined where the CA signs itself.
 * @throws CapstanError `external-option-unused`, `external-profile-invalid`, `option-unprintable`, `option-too-long`
 */
export function readExternal(values: ExternalValues): ExternalCa | undefined {
  const { externalCa, externalCaType: type = 'generic', externalCaProfile: profile } = values;
  if (!externalCa && (values.externalCaType !== undefined || profile !== undefined))
    throw unused(
      profile === undefined ? '--external-ca-type' : '--external-ca-profile',
      'Add --external-ca.',
    );
  if (profile !== undefined && type !== 'ms-cs')
    throw unused('--external-ca-profile', 'Add --external-ca-type ms-cs.');
  if (!externalCa) return undefined;
  if (type !== 'ms-cs') return { type: 'generic' };
  const chosen = printable('--external-ca-profile', profile ?? DEFAULT_PROFILE);
  parseProfile(chosen);
  return { type, profile: chosen };
}

function unused(option: string, next: string) {
  return refusal('external-option-unused', `${option} says nothing without another option.`, next);
}

/** The files with certificates; undefined where none is given. @throws CapstanError `external-file-invalid` */
export function readCertificateFiles({ externalCertFile: files }: ExternalValues): string[] | undefined {
  for (const path of files ?? []) {
    const flaw = flawOfPath(path) ?? (isAbsolute(path) ? undefined : 'has no absolute path');
    if (flaw)
      throw refusal(
        'external-file-invalid',
        `The file that --external-cert-file names, ${quoted(path)}, ${flaw}.`,
        'Give the path from the root on.',
      );
  }
  return files;
}
