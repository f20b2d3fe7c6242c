import { isAbsolute, normalize } from 'node:path';
import type { Command } from 'commander';
import { refusal } from '../../src/errors.ts';
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

/** Where the keys are made. */
export interface TokenChoice {
  label: string;
  libraryPath: string;
}

/** Adds the options that name the token, its PKCS#11 library and its password. */
export function tokenOptions(command: Command): Command {
  return command
    .optionsGroup('Token:')
    .option('--token-name <label>', 'label of the token that makes and keeps the keys')
    .option('--library-path <file>', 'PKCS#11 library of the HSM (also --token-library-path)')
    .addOption(command.createOption('--token-library-path <file>', 'the same').hideHelp())
    .option('--token-password <pin>', 'user PIN of the token (better: the next option)')
    .option('--token-password-file <file>', 'file that holds it; - reads standard input');
}

/**
 * The token that the options name, or the person.
 * @throws CapstanError `option-missing`, `option-unprintable`, `library-path-invalid`, `library-path-twice`
 */
export function readToken(values: TokenValues, asker: Asker | undefined): Promise<TokenChoice> {
  const { tokenName, libraryPath, tokenLibraryPath } = values;
  return together<TokenChoice>(
    {
      label: () =>
        readField(
          { option: '--token-name', what: 'token name', given: tokenName, parse: nonempty('--token-name') },
          asker,
        ),
      libraryPath: () =>
        readField(
          {
            option: '--library-path',
            what: 'PKCS#11 library path',
            given: onePath(libraryPath, tokenLibraryPath),
            parse: parseLibraryPath,
          },
          asker,
        ),
    },
    asker !== undefined,
  );
}

/** Refuses an empty text; the rules of the value itself belong to whoever uses it. */
function nonempty(option: string): (text: string) => string {
  return (text) => {
    if (text === '') throw refusal('option-missing', `The value of ${option} is empty.`);
    return text;
  };
}

function onePath(path: string | undefined, alias: string | undefined): string | undefined {
  if (path !== undefined && alias !== undefined && path !== alias) {
    throw refusal(
      'library-path-twice',
      `--library-path names ${path}, but --token-library-path names ${alias}.`,
      'They are two names of one option; give one.',
    );
  }
  return path ?? alias;
}

/**
 * The path of a PKCS#11 library. It is recorded in the directory behind a `;`, and read again by every replica.
 * @throws CapstanError `library-path-invalid`
 */
export function parseLibraryPath(text: string): string {
  if (!isAbsolute(text) || normalize(text) !== text || text.endsWith('/')) {
    throw refusal(
      'library-path-invalid',
      `"${text}" cannot be the library path: it must be the absolute path of a file, without . and .. in it.`,
      'Give it as in --library-path /usr/lib/softhsm/libsofthsm2.so',
    );
  }
  return text;
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
