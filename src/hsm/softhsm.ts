/** SoftHSM, told from every other module, and where it keeps its tokens. */
import { readFile, realpath } from 'node:fs/promises';
import { refusal } from '../errors.ts';
import { presentPaths } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import type { ModuleRequest } from './module-process.ts';
import type { ModuleFacts, TokenFacts } from './protocol.ts';

/** The formats in which SoftHSM keeps a token in its folder (softhsm2.conf(5), `objectstore.backend`). */
export type SoftHsmBackend = 'file' | 'db';

/** Where a SoftHSM keeps its tokens, each in a folder of its own. */
export interface SoftHsmStore {
  /** The file that says so. */
  configuration: string;
  folder: string;
  backend: SoftHsmBackend;
}

const IS_SOFTHSM = /^SoftHSM\b/;

/** Whether a library is SoftHSM, by what it says of itself. */
export function isSoftHsm(facts: Pick<ModuleFacts, 'manufacturer'>): boolean {
  return IS_SOFTHSM.test(facts.manufacturer);
}

/**
 * Lets SoftHSM pass and no other module: what the library says of itself and, where one is given, what the token says.
 * A module in between, p11-kit's for instance, shows tokens of SoftHSM whose files are on another host.
 * @throws CapstanError `token-not-softhsm`
 */
export function requireSoftHsm(libraryPath: string, facts: ModuleFacts, token?: TokenFacts): void {
  const isTokenOfSoftHsm = !token || (IS_SOFTHSM.test(token.manufacturer) && IS_SOFTHSM.test(token.model));
  if (isSoftHsm(facts) && isTokenOfSoftHsm) return;
  const itself = [facts.manufacturer, facts.description, token?.manufacturer, token?.model];
  const names = itself.filter(Boolean).map((name) => JSON.stringify(name));
  throw refusal(
    'token-not-softhsm',
    `The library ${libraryPath} is not SoftHSM: it calls itself ${names.join(', ') || 'nothing'}. The keys of an HSM do not leave it.`,
    'Connect the other host to the same HSM with the vendor’s client. Only tokens of SoftHSM, for rehearsals, are files that can be moved.',
  );
}

/**
 * Where the SoftHSM that such a request loads keeps its tokens. It looks for its configuration at $SOFTHSM2_CONF, which
 * daemons do not have, in the home of its user, and at the place that it was built with (SoftHSM 2.6.1 and 2.7.0,
 * SimpleConfigLoader.cpp).
 * @throws CapstanError `softhsm-configuration-missing`, `softhsm-configuration-unusable`
 */
export async function softHsmStore(host: Host, request: ModuleRequest): Promise<SoftHsmStore> {
  const places = request.env?.SOFTHSM2_CONF
    ? [request.env.SOFTHSM2_CONF]
    : [...(await homeOf(host, request.user)), ...(await builtIn(request.libraryPath)), ...KNOWN];
  const [configuration] = await presentPaths(places);
  if (configuration === undefined) {
    throw refusal(
      'softhsm-configuration-missing',
      `SoftHSM has no configuration on this host: looked for at ${[...new Set(places)].join(', ')}.`,
      'Install SoftHSM with its configuration.',
    );
  }
  const { folder, backend } = parseStore(await readFile(configuration, 'utf8'), configuration);
  // A folder that is missing is told of where it is read.
  return { configuration, folder: await realpath(folder).catch(() => folder), backend };
}

/** Where Debian and Fedora have it. */
const KNOWN = ['/etc/softhsm/softhsm2.conf', '/etc/softhsm2.conf'];

async function homeOf(host: Host, user: string | undefined): Promise<string[]> {
  const name = user ?? String(process.getuid?.() ?? 0);
  const { stdout } = await host.run('getent', ['passwd', name], { accept: [0, 2] });
  const home = stdout.trim().split(':')[5];
  return home ? [`${home}/.config/softhsm2/softhsm2.conf`] : [];
}

/** The path is a string of the library's own: DEFAULT_SOFTHSM2_CONF. */
async function builtIn(libraryPath: string): Promise<string[]> {
  const library = await readFile(libraryPath, 'latin1');
  return [...library.matchAll(/\0(\/[\x21-\x7e]{1,200}softhsm2\.conf)\0/g)].map(([, path = '']) => path);
}

/**
 * What a configuration says of the store, read as SoftHSM reads it: `name = value`, `#` begins a comment, the last
 * value counts, and a value ends at a second `=`.
 * @throws CapstanError `softhsm-configuration-unusable`
 */
export function parseStore(text: string, configuration: string): Omit<SoftHsmStore, 'configuration'> {
  const settings = new Map<string, string>();
  for (const line of text.split(/[\r\n]+/)) {
    const [name = '', value] = line.replace(/#.*$/, '').split('=');
    if (value?.trim()) settings.set(name.trim(), value.trim());
  }
  const folder = settings.get('directories.tokendir');
  const backend = settings.get('objectstore.backend') ?? 'file';
  const flaw = !folder?.startsWith('/')
    ? 'names no absolute path as directories.tokendir'
    : backend !== 'file' && backend !== 'db' && `has ${JSON.stringify(backend)} as objectstore.backend`;
  if (flaw || !folder) {
    throw refusal(
      'softhsm-configuration-unusable',
      `The configuration of SoftHSM, ${configuration}, ${flaw}.`,
      'Correct it as softhsm2.conf(5) says.',
    );
  }
  return { folder: folder.replace(/(?<=.)\/+$/, ''), backend: backend as SoftHsmBackend };
}
