import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { CapstanError, failure, refusal, sentenceOf } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { accountOf } from '../host/users.ts';
import { withModule } from '../hsm/module.ts';
import type { ModuleRequest } from '../hsm/module-process.ts';
import type { TokenFacts } from '../hsm/protocol.ts';
import { requireSoftHsm, type SoftHsmStore, softHsmStore } from '../hsm/softhsm.ts';
import {
  type FolderRights,
  firstRights,
  labelIsTaken,
  rightsOf,
  tokenFolders,
  writeTokenFolder,
} from '../hsm/softhsm-folder.ts';
import { libraryPath } from '../hsm/token.ts';
import { isFolderOf, LONGEST_TOKEN_FILE, type TokenContent, unsealToken } from '../hsm/token-file.ts';
import { PKI_USER, type Report } from './site.ts';
import { refuseOthersThanRoot, stepper, stopIfInterrupted, type TokenMove } from './token-move.ts';

/** What an import was asked for. */
export interface TokenImport extends TokenMove {
  libraryPath: string;
}

/**
 * Puts a token that `capstan token export` wrote among those of SoftHSM on this host, whole or not at all, and sees it
 * there as the user that will use it. When that fails it is taken away again.
 * @throws CapstanError `not-root`, `library-path-invalid`, `token-file-missing`, `token-file-unreadable`,
 *   `token-not-softhsm`, `token-exists`, `token-backend-differs`, `token-not-written`, `token-not-seen`, `token-left`,
 *   `interrupted`, those of {@link softHsmStore} and the codes of {@link withModule}
 */
export async function importToken(host: Host, request: TokenImport): Promise<Report> {
  const { file, passphrase, listen, as = { user: PKI_USER } } = request;
  refuseOthersThanRoot();
  const step = stepper(host, listen, [
    ['file', `Open ${file}`],
    ['look', 'Look at the tokens of this host'],
    ['write', 'Put the token among them'],
  ]);
  const module = { libraryPath: libraryPath(request.libraryPath), ...as };
  const content = await step('file', async () => unsealToken(await readSealed(file), passphrase, file));
  const { store, rights } = await step('look', async () => {
    const tokens = await softHsmTokens(host, module);
    const found = await softHsmStore(host, module);
    await refuseKnown(found, content, tokens);
    return { store: found, rights: await rightsFor(host, module, found, tokens) };
  });
  await step('write', () => writeAndSee(host, module, store, content, rights));
  return importReport(store, content);
}

async function softHsmTokens(host: Host, module: ModuleRequest): Promise<TokenFacts[]> {
  return withModule(host, module, async (library) => {
    requireSoftHsm(module.libraryPath, library.facts);
    return library.tokens();
  });
}

/** Looks at what the module shows and at what is on disk: another user's token is not seen, but it is there. */
async function refuseKnown(
  store: SoftHsmStore,
  { label, serial, backend }: TokenContent,
  tokens: readonly TokenFacts[],
): Promise<void> {
  if (backend !== store.backend) {
    throw refusal(
      'token-backend-differs',
      `The token was written by a SoftHSM with objectstore.backend = ${backend}; here it is ${store.backend} (${store.configuration}).`,
      `Set objectstore.backend = ${backend} there, or export from a host with the same setting.`,
    );
  }
  const folders = await tokenFolders(store);
  const isSerialTaken =
    tokens.some((token) => token.serial === serial) || folders.some((name) => isFolderOf(name, serial));
  const isLabelTaken =
    tokens.some((token) => token.initialised && token.label === label) || (await labelIsTaken(store, label));
  if (!isSerialTaken && !isLabelTaken) return;
  throw refusal(
    'token-exists',
    `SoftHSM on this host has a token with the ${isSerialTaken ? `serial ${serial}` : `label ${label}`} already (${store.folder}).`,
    isSerialTaken
      ? `It is the same token. To take the copy in its place, delete it first: softhsm2-util --delete-token --serial ${serial}`
      : 'Give one of the two another label, or delete the one that nobody needs, with softhsm2-util.',
  );
}

/** As the tokens that this user sees already have it; as SoftHSM would make it for the user, where there is none. */
async function rightsFor(
  host: Host,
  { user }: ModuleRequest,
  store: SoftHsmStore,
  tokens: readonly TokenFacts[],
): Promise<FolderRights> {
  const folders = await tokenFolders(store);
  const sibling = folders.find((name) => tokens.some(({ serial }) => isFolderOf(name, serial)));
  if (sibling !== undefined) return rightsOf(store, sibling);
  const own = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  return firstRights(store, user === undefined ? own : await accountOf(host, user));
}

async function writeAndSee(
  host: Host,
  module: ModuleRequest,
  store: SoftHsmStore,
  content: TokenContent,
  rights: FolderRights,
): Promise<void> {
  const { label, serial, folder } = content;
  stopIfInterrupted(host);
  const takeAway = await writeTokenFolder(store, content, rights).catch((error: unknown) => {
    if (error instanceof CapstanError) throw error;
    const why = `The token cannot be written to ${store.folder}: ${sentenceOf(error)}`;
    throw failure('token-not-written', why, 'Nothing of it was left there.', error);
  });
  host.log.write(`the token ${label}, serial ${serial}, is in ${store.folder}/${folder}`);
  try {
    const seen = (await softHsmTokens(host, module)).find((token) => token.serial === serial);
    if (seen?.label !== label) throw notSeen(module, store, content);
  } catch (error) {
    await takeAway().catch((reason: unknown) => {
      const why = `The token that was put to ${store.folder}/${folder} does not work, and cannot be removed: ${sentenceOf(reason)}`;
      throw failure('token-left', why, 'Remove that folder.', error);
    });
    host.log.write(`${store.folder}/${folder} was removed again`);
    throw error;
  }
}

function notSeen(
  { user }: ModuleRequest,
  store: SoftHsmStore,
  { label, serial }: TokenContent,
): CapstanError {
  return failure(
    'token-not-seen',
    `SoftHSM does not show the token ${label}, serial ${serial}, to ${user ?? 'this user'} after it was put to ${store.folder}; it was removed again.`,
    `Look whether ${store.configuration} is the configuration that this user's SoftHSM reads, and what it says in the system's journal.`,
  );
}

function importReport(store: SoftHsmStore, { label, serial, folder }: TokenContent): Report {
  return {
    title: `SoftHSM on this host has the token ${label}.`,
    facts: [
      { name: 'Serial', value: serial },
      { name: 'Folder', value: `${store.folder}/${folder}` },
    ],
    next: [
      'Its PINs are those that it had. It is a copy: what is made on the other host from now on is not on it.',
      'Programs that have loaded SoftHSM already see it when they are started again.',
      'Delete the file that it came in.',
    ],
  };
}

async function readSealed(path: string): Promise<Buffer> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const facts = await file.stat();
    if (!facts.isFile()) throw unusableInput(path, 'is no regular file');
    if (facts.size > LONGEST_TOKEN_FILE) throw unusableInput(path, 'is too large for a token file');
    return await file.readFile();
  } catch (error) {
    if (error instanceof CapstanError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT') throw unusableInput(path, `cannot be read: ${message}`, error);
    throw refusal('token-file-missing', `There is no token file ${path}.`, 'Check the path.', error);
  } finally {
    await file?.close();
  }
}

function unusableInput(path: string, flaw: string, cause?: unknown): CapstanError {
  const next = 'Name a file that "capstan token export" wrote.';
  return refusal('token-file-unreadable', `The token file ${path} ${flaw}.`, next, cause);
}
