import type { Command } from 'commander';
import { refusal } from '../../src/errors.ts';
import type { TokenChoice } from '../../src/flow/site.ts';
import { flawOfPath } from '../../src/names/path.ts';
import { quoted } from '../../src/names/quoted.ts';
import type { SecretRequest } from '../../src/secret/sources.ts';
import type { Asker } from '../prompt.ts';
import { readField } from './field.ts';
import { together } from './together.ts';

/** What the token options leave behind. */
export interface TokenValues {
  tokenName?: string;
  libraryPath?: string;
  tokenLibraryPath?: string;
  tokenPassword?: string;
  tokenPasswordFile?: string;
}

/** Adds the options that name the token, its PKCS#11 library and its password. */
export function tokenOptions(command: Command): Command {
  return command
    .optionsGroup('Token:')
    .option('--token-name <label>', 'label of the token that makes and keeps the keys')
    .option('--library-path <file>', 'PKCS#11 library of the HSM (also --token-library-path)')
    .addOption(command.createOption('--token-library-path <file>', 'the same').hideHelp())
    .option('--token-timeout <seconds>', 'the same as --deadline token=SECONDS')
    .option('--token-password <pin>', 'user PIN of the token (better: the next option)')
    .option('--token-password-file <file>', 'file that holds it; - reads standard input');
}

/**
 * The token that the options name, or the person.
 * @throws CapstanError `option-missing`, `option-unprintable`, `option-too-long`, `library-path-invalid`,
 *   `library-path-twice`
 */
export async function readToken(values: TokenValues, asker: Asker | undefined): Promise<TokenChoice> {
  const { tokenName: given } = values;
  return together<TokenChoice>(
    {
      label: () =>
        readField(
          { option: '--token-name', what: 'token name', given, parse: nonempty('--token-name') },
          asker,
        ),
      libraryPath: () => readLibraryPath(values, asker),
    },
    asker !== undefined,
  );
}

/**
 * The PKCS#11 library that the options name, or the person.
 * @throws CapstanError `option-missing`, `option-unprintable`, `option-too-long`, `library-path-invalid`,
 *   `library-path-twice`
 */
export async function readLibraryPath(
  { libraryPath, tokenLibraryPath }: TokenValues,
  asker: Asker | undefined,
): Promise<string> {
  const given = onePath(libraryPath, tokenLibraryPath);
  return readField(
    { option: '--library-path', what: 'PKCS#11 library path', given, parse: parseLibraryPath },
    asker,
  );
}

/** Refuses an empty text. What a label and a library path must be like is judged with the token itself, in src/hsm. */
function nonempty(option: string): (text: string) => string {
  return (text) => {
    if (text === '')
      throw refusal('option-missing', `The value of ${option} is empty.`, `Give ${option} a value.`);
    return text;
  };
}

function parseLibraryPath(text: string): string {
  const path = nonempty('--library-path')(text);
  const flaw = flawOfPath(path);
  if (flaw) {
    throw refusal(
      'library-path-invalid',
      `The library that --library-path names, ${quoted(path)}, ${flaw}.`,
      'Give the absolute path of the PKCS#11 library.',
    );
  }
  return path;
}

/**
 * The PKCS#11 library that the options name; undefined where they name none.
 * @throws CapstanError `library-path-twice`, `library-path-invalid`, `option-missing`
 */
export function givenLibraryPath({ libraryPath, tokenLibraryPath }: TokenValues): string | undefined {
  const given = onePath(libraryPath, tokenLibraryPath);
  return given === undefined ? undefined : parseLibraryPath(given);
}

function onePath(path: string | undefined, alias: string | undefined): string | undefined {
  if (path !== undefined && alias !== undefined && path !== alias) {
    throw refusal(
      'library-path-twice',
      `--library-path names ${quoted(path)}, but --token-library-path names ${quoted(alias)}.`,
      'They are two names of one option; give one.',
    );
  }
  return path ?? alias;
}

/** The request for the token's user PIN. */
export function tokenSecret({ tokenPassword, tokenPasswordFile }: TokenValues): SecretRequest {
  return {
    what: 'token password',
    option: '--token-password',
    value: tokenPassword,
    file: tokenPasswordFile,
  };
}
