import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { refusal } from '../errors.ts';

/** One place that apt takes packages from (sources.list(5)). */
export interface AptSource {
  uri: string;
  suite: string;
  components: readonly string[];
}

/** The binary sources of a file in the one-line format: `deb [options] URI SUITE COMPONENT...`. */
export function parseOneLine(text: string): AptSource[] {
  return text.split('\n').flatMap((line) => {
    const words = line
      .replace(/#.*/, '')
      .replace(/\[[^\]]*\]/, ' ')
      .trim()
      .split(/\s+/);
    const [type, uri, suite, ...components] = words;
    return type === 'deb' && uri && suite ? [{ uri, suite, components }] : [];
  });
}

/** The binary sources of a file in the deb822 format: stanzas of fields, a blank line between them. */
export function parseDeb822(text: string): AptSource[] {
  const withoutComments = text.replace(/^#.*\n?/gm, '');
  return withoutComments.split(/\n\s*\n/).flatMap((stanza) => {
    const words = (field: string) => fieldOf(stanza, field)?.split(/\s+/).filter(Boolean) ?? [];
    if (!words('Types').includes('deb') || /^(no|false|off|0)$/i.test(fieldOf(stanza, 'Enabled') ?? '')) {
      return [];
    }
    const components = words('Components');
    return words('URIs').flatMap((uri) => words('Suites').map((suite) => ({ uri, suite, components })));
  });
}

function fieldOf(stanza: string, name: string): string | undefined {
  const field = new RegExp(`^${name}:((?:.*)(?:\\n[ \\t].*)*)`, 'im').exec(stanza);
  return field?.[1]?.replace(/\s+/g, ' ').trim();
}

/**
 * The Debian archive among the sources: with `main`, an address that ends in `/debian`, and neither the security
 * archive nor an add-on suite. Vendors' archives can look the same; one that has updates of a release comes first.
 */
export function debianMirror(sources: readonly AptSource[]): string | undefined {
  const archives = sources
    .filter(({ components, suite }) => components.includes('main') && !/security|backports/.test(suite))
    .map(({ uri, suite }) => ({ uri: uri.replace(/\/+$/, ''), suite }))
    .filter(({ uri }) => /^https?:\/\/.*\/debian$/.test(uri));
  return (archives.find(({ suite }) => suite.endsWith('-updates')) ?? archives[0])?.uri;
}

/**
 * The Debian mirror that this machine's apt uses.
 * @param folder apt's configuration
 * @throws CapstanError `mirror-unknown`
 */
export async function machineMirror(folder = '/etc/apt'): Promise<string> {
  const mirror = debianMirror(await machineSources(folder));
  if (mirror) return mirror;
  throw refusal(
    'mirror-unknown',
    `No Debian archive with the component main is among the apt sources in ${folder}.`,
    'Name a Debian mirror in the environment variable CAPSTAN_LAB_MIRROR, for instance http://mirror.example.org/debian.',
  );
}

async function machineSources(folder: string): Promise<AptSource[]> {
  const parts = join(folder, 'sources.list.d');
  const names = (await readdir(parts).catch(() => [])).sort();
  const files = [join(folder, 'sources.list'), ...names.map((name) => join(parts, name))];
  const found: AptSource[] = [];
  for (const file of files) {
    const text = await readFile(file, 'utf8').catch(() => '');
    if (file.endsWith('.sources')) found.push(...parseDeb822(text));
    else if (file.endsWith('.list')) found.push(...parseOneLine(text));
  }
  return found;
}
