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
  keepSecrets?: boolean;
  externalCertFile?: string[];
}

/** Microsoft's own template for subordinate authorities. */
const DEFAULT_PROFILE = 'SubCA';

/** What the options of the two stages are told to be, where the CA is being installed. */
const INSTALLING = {
  begin: 'make the key and a request for its certificate, and wait for that',
  goOn: 'go on: the certificate, and all above it; PEM, DER or PKCS#7, once for each file',
};

/** Adds the options of a CA that another authority signs. @param words what those of the two stages do */
export function externalOptions(command: Command, words = INSTALLING): Command {
  return command
    .optionsGroup('A CA that another authority signs:')
    .option('--external-ca', words.begin)
    .addOption(
      new Option('--external-ca-type <type>', 'which authority it is (default: generic)').choices([
        ...EXTERNAL_TYPES,
      ]),
    )
    .option(
      '--external-ca-profile <template>',
      `of ms-cs: the template, NAME or OID:MAJOR[:MINOR] (default: ${DEFAULT_PROFILE})`,
    )
    .option('--external-cert-file <file>', words.goOn, (file: string, files: string[] = []) => [
      ...files,
      file,
    ]);
}

/** Adds, to the same group, the option that keeps the passwords between the stages. */
export function keepSecretsOption(command: Command): Command {
  return command.option(
    '--keep-secrets',
    'have the token seal the passwords until then: what goes on needs its PIN alone',
  );
}

/**
 * The authority that is to sign the CA; undefined where the CA signs itself.
 * @throws CapstanError `external-option-unused`, `external-profile-invalid`, `option-unprintable`, `option-too-long`
 */
export function readExternal(values: ExternalValues): ExternalCa | undefined {
  const { externalCa, externalCaType: type = 'generic', externalCaProfile: profile } = values;
  if (!externalCa) {
    const [first] = USELESS_ALONE.filter(([, name]) => values[name] !== undefined);
    if (first) throw unused(first[0], 'Add --external-ca.');
  }
  if (profile !== undefined && type !== 'ms-cs')
    throw unused('--external-ca-profile', 'Add --external-ca-type ms-cs.');
  if (!externalCa) return undefined;
  const kept = values.keepSecrets ? { keepSecrets: true as const } : {};
  if (type !== 'ms-cs') return { type: 'generic', ...kept };
  const chosen = printable('--external-ca-profile', profile ?? DEFAULT_PROFILE);
  parseProfile(chosen);
  return { type, profile: chosen, ...kept };
}

const USELESS_ALONE = [
  ['--external-ca-profile', 'externalCaProfile'],
  ['--external-ca-type', 'externalCaType'],
  ['--keep-secrets', 'keepSecrets'],
] as const;

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
