import { unlink } from 'node:fs/promises';
import { refusal } from '../errors.ts';
import { pathExists } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { createNewFile, outputFileExists } from '../host/new-file.ts';
import { withModule } from '../hsm/module.ts';
import type { ModuleRequest } from '../hsm/module-process.ts';
import type { TokenFacts } from '../hsm/protocol.ts';
import { requireSoftHsm, softHsmStore } from '../hsm/softhsm.ts';
import { folderOf, readTokenFolder } from '../hsm/softhsm-folder.ts';
import { libraryPath, selectToken } from '../hsm/token.ts';
import { sealToken, type TokenContent } from '../hsm/token-file.ts';
import { PKI_USER, type Report, type TokenChoice } from './site.ts';
import { interrupted, refuseOthersThanRoot, stepper, type TokenMove } from './token-move.ts';

/** What the file is called in errors. */
const EXPORT = 'token file';

/** What an export was asked for. */
export interface TokenExport extends TokenMove {
  token: TokenChoice;
}

/**
 * Writes a token of SoftHSM with all its objects into one new file, encrypted and authenticated. Private objects are
 * encrypted with the token's PINs besides, by SoftHSM. The token is not changed, and no PIN is tried.
 * @throws CapstanError `not-root`, `library-path-invalid`, `token-not-softhsm`, `token-not-found`, `token-ambiguous`,
 *   `token-folder-missing`, `token-folder-strange`, `token-busy`, `token-too-large`, `output-file-exists`,
 *   `output-file-unusable`, `interrupted`, those of {@link softHsmStore} and the codes of {@link withModule}
 */
export async function exportToken(host: Host, request: TokenExport): Promise<Report> {
  const { token, file, passphrase, listen, as = { user: PKI_USER } } = request;
  refuseOthersThanRoot();
  await refuseTaken(file);
  const step = stepper(host, listen, [
    ['token', `Look at the token ${token.label}`],
    ['folder', 'Read its folder'],
    ['file', `Write ${file}`],
  ]);
  const module = { libraryPath: libraryPath(token.libraryPath), ...as };
  const facts = await step('token', () =>
    withModule(host, module, async (library) => {
      requireSoftHsm(module.libraryPath, library.facts);
      const found = selectToken(await library.tokens(), token.label);
      requireSoftHsm(module.libraryPath, library.facts, found);
      return found;
    }),
  );
  const content = await step('folder', () => contentOf(host, module, facts));
  const bytes = await step('file', async () => {
    const sealed = await sealToken(content, passphrase);
    await writeNew(file, sealed, host.signal);
    return sealed.length;
  });
  return exportReport(file, content, bytes);
}

async function contentOf(
  host: Host,
  module: ModuleRequest,
  { label, serial }: TokenFacts,
): Promise<TokenContent> {
  const store = await softHsmStore(host, module);
  const folder = await folderOf(store, serial);
  host.log.write(`the token ${label}, serial ${serial}, is in ${store.folder}/${folder}`);
  return { label, serial, folder, backend: store.backend, files: await readTokenFolder(store, folder) };
}

function exportReport(file: string, { label, serial, files }: TokenContent, bytes: number): Report {
  return {
    title: `The token ${label} is in ${file}.`,
    facts: [
      { name: 'Serial', value: serial },
      { name: 'Files', value: `${files.length}, in ${Math.ceil(bytes / 1024)} KiB` },
    ],
    next: [
      `Take the file to the other host, and there: capstan token import --input-file ${file}`,
      'From now on the two are copies: what is made on one of them is not on the other.',
      'Delete the file when it is there. It holds the keys of the token, under the passphrase and the PIN.',
    ],
  };
}

/**
 * Refuses the name of a new file that is taken.
 * @throws CapstanError `output-file-exists`
 */
export async function refuseTaken(path: string): Promise<void> {
  if (await pathExists(path)) throw outputFileExists(path, EXPORT);
}

/** Writes a file that must not be there; on disk when this returns, or gone when it fails. */
async function writeNew(path: string, content: Buffer, signal: AbortSignal): Promise<void> {
  const output = await createNewFile(path, EXPORT);
  try {
    await output.writeFile(content, { signal });
    await output.sync();
  } catch (error) {
    await unlink(path).catch(() => {});
    if (signal.aborted) throw interrupted();
    throw refusal(
      'output-file-unusable',
      `The ${EXPORT} cannot be written to ${path}: ${(error as Error).message}`,
      'Name a new file where there is room, with --output-file.',
      error,
    );
  } finally {
    await output.close();
  }
}
