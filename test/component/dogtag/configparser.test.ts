import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CaCloneDeployment, caCloneDeployments } from '../../../src/dogtag/clone-deployment.ts';
import { type CaDeployment, caDeployments, passwordFault } from '../../../src/dogtag/deployment.ts';
import { dogtagProfile } from '../../../src/dogtag/version.ts';
import { CapstanError } from '../../../src/errors.ts';
import {
  type ConfigSections,
  type ConfigValue,
  KEYS_READ_RAW,
  parseConfig,
  renderConfig,
  unwritable,
} from '../../../src/host/configparser.ts';
import { openHost } from '../../../src/host/host.ts';
import { Secret } from '../../../src/secret/secret.ts';

type BySection = Record<string, Record<string, string>>;
interface Answers {
  pkispawn: { values?: Record<string, string>; raw?: BySection; error?: string }[];
  raw: { sections?: BySection; error?: string }[];
}

const READER = fileURLToPath(new URL('read_like_pkispawn.py', import.meta.url));

/** One start of Python for all the texts. */
async function python(asked: { pkispawn?: string[]; raw?: string[] }): Promise<Answers> {
  const result = await openHost().run('python3', ['-I', READER], { input: JSON.stringify(asked) });
  return JSON.parse(result.stdout) as Answers;
}

/** Text in which the characters that mean something to an INI file are common. */
const awkward = fc
  .array(
    fc.oneof(
      fc.constantFrom('%', '%%', '%(', '%(pki_admin_uid)s', ')s', ';', '#', ' ;', ' #', '=', ':', '"', "'"),
      fc.constantFrom(
        '\\',
        '[',
        ']',
        '[CA]',
        ' ',
        '\t',
        '\xa0',
        '\u3000',
        '\ufeff',
        'é',
        'ß',
        '鍵',
        '🔑',
        '$',
      ),
      fc.string({ unit: 'grapheme-ascii', maxLength: 4 }),
      fc.string({ unit: 'binary', maxLength: 3 }),
    ),
    { maxLength: 8 },
  )
  .map((parts) => parts.join(''));

const legal = awkward.filter((value) => unwritable(value) === undefined);
const password = awkward.filter((value) => passwordFault(value) === undefined);

/** The Secret lives for one case only, so that redaction does not grow with every case. */
function secret(value: string): Secret {
  const made = new Secret(value, 'password');
  made.forget();
  return made;
}

function textOf(value: ConfigValue): string {
  if (typeof value === 'string') return value;
  return value instanceof Secret ? value.reveal() : value.interpolated;
}

/** What pkispawn merges: [CA] over [DEFAULT]. */
function merged(sections: ConfigSections): Record<string, string> {
  const pairs = Object.entries({ ...sections.DEFAULT, ...sections.CA });
  return Object.fromEntries(pairs.map(([key, value]) => [key, textOf(value)]));
}

/** None that the script's defaults have in [CA], where they would win over [DEFAULT]. */
const ordinary = ['pki_hostname', 'pki_token_name', 'pki_ca_signing_subject_dn', 'pki_pkcs12_password'];
const anySections = fc.record({
  DEFAULT: fc.dictionary(fc.constantFrom(...ordinary, ...KEYS_READ_RAW), legal, { noNullPrototype: true }),
  CA: fc.dictionary(fc.constantFrom(...ordinary, ...KEYS_READ_RAW), legal, { noNullPrototype: true }),
});

describe('a deployment configuration, read by the procedure of pkispawn', () => {
  test('gives back every legal value byte for byte', { timeout: 60_000 }, async () => {
    const cases = fc.sample(anySections, 1500);
    const answers = await python({ pkispawn: cases.map(renderConfig) });
    cases.forEach((sections, index) => {
      expect(answers.pkispawn[index]?.error).toBeUndefined();
      expect(answers.pkispawn[index]?.values).toMatchObject(merged(sections));
    });
  });

  test('shows RawConfigParser the passwords as they are, and % doubled elsewhere', async () => {
    const cases = fc.sample(anySections, 500);
    const answers = await python({ pkispawn: cases.map(renderConfig) });
    cases.forEach((sections, index) => {
      for (const [section, values] of Object.entries(sections)) {
        const expected = Object.entries(values).map(([key, value]) => [
          key,
          KEYS_READ_RAW.has(key) ? value : value.replaceAll('%', '%%'),
        ]);
        expect(answers.pkispawn[index]?.raw?.[section]).toEqual(Object.fromEntries(expected));
      }
    });
  });

  test('would lose what is refused: line ends and blanks at the ends', async () => {
    const lost = ['a\nb', 'a\rb', ' a', 'a ', '\ta', 'a\xa0', '\u3000a', 'a\u2028', 'a\x85', 'a\x1f'];
    expect(lost.map((value) => unwritable(value) === undefined)).not.toContain(true);
    const answers = await python({ pkispawn: lost.map((value) => `[CA]\npki_token_password=${value}\n`) });
    answers.pkispawn.forEach((answer, index) => {
      expect(answer.values?.pki_token_password).not.toBe(lost[index]);
    });
  });
});

/** What the configurations of the first CA and of a clone have in common. */
const SITE = {
  hostname: 'ca1.example.test',
  caSubject: 'CN=50% Certificate Authority,O=EXAMPLE.TEST',
  subjectBase: 'O=A\\, B & C',
  keySize: 3072,
  clientFolder: '/root/.dogtag/pki-tomcat',
} as const;

const given = fc.record({
  pin: password,
  ds: password,
  admin: password,
  client: password,
  organization: legal,
});
type Given = typeof given extends fc.Arbitrary<infer T> ? T : never;

function siteOf(one: Given) {
  return {
    ...SITE,
    realm: one.organization,
    token: {
      label: '100% token',
      libraryPath: '/usr/lib/vendor/lib%p11.so',
      moduleName: 'lib%p11',
      pin: secret(one.pin),
    },
    directory: {
      ldapsPort: 636,
      caFile: '/etc/dirsrv/slapd-EXAMPLE-TEST/ca.crt',
      password: secret(one.ds),
    },
    clientDatabasePassword: secret(one.client),
  };
}

function first(one: Given): CaDeployment {
  return { ...siteOf(one), adminPassword: secret(one.admin), agentFile: '/root/ca-agent.p12' };
}

function clone(one: Given): CaCloneDeployment {
  const member = { user: 'admin-ca2.example.test', password: secret(one.admin) };
  return { ...siteOf(one), master: 'ca1.example.test', member, chainFile: '/etc/capstan/ca%.crt' };
}

describe.each([
  ['10.10.2', [10, 10, 2]],
  ['11.6.0', [11, 6, 0]],
] as const)('for Dogtag %s', (_, version) => {
  const profile = dogtagProfile(version);

  test.each([
    ['the first CA', (one: Given) => caDeployments(first(one), profile)],
    ['a clone', (one: Given) => caCloneDeployments(clone(one), profile)],
  ])('the configuration of %s arrives with every legal password', { timeout: 60_000 }, async (_, runsOf) => {
    const cases = fc.sample(given, 300).flatMap(runsOf);
    const answers = await python({ pkispawn: cases.map(({ sections }) => renderConfig(sections)) });
    cases.forEach(({ sections }, index) => {
      expect(answers.pkispawn[index]?.values).toMatchObject(merged(sections));
    });
  });
});

describe('parseConfig', () => {
  const line = fc.oneof(
    fc.constantFrom('[DEFAULT]', '[CA]', '[Tomcat]', '  [CA]', '', '   ', '# note', '  ; note', '\t# note'),
    fc.constantFrom(
      'pki_a=1',
      'pki_a = 2',
      'pki_b: x',
      'PKI_A=3',
      ' continued',
      '\tcontinued = 4',
      'pki_c =',
    ),
    fc.constantFrom('pki_d=a # kept', 'pki_e=a ; kept', 'pki f=g', '=', 'no separator', ':x', '\xa0pki_g=1'),
    fc
      .tuple(fc.constantFrom('', ' ', '    ', '\u3000'), fc.constantFrom('pki_h', 'pki_i', 'pki_j'), awkward)
      .map(([indent, key, value]) => `${indent}${key}=${value}`)
      .filter((text) => text.isWellFormed()),
  );
  const file = fc
    .tuple(fc.array(line, { maxLength: 14 }), fc.constantFrom('\n', '\r\n', '\r'))
    .map(([lines, end]) => lines.join(end));

  function ours(text: string): BySection | undefined {
    try {
      const read: BySection = {};
      for (const { section, key, value } of parseConfig(text, 'file')) {
        read[section] = { ...read[section], [key]: value };
      }
      return read;
    } catch (error) {
      expect(error).toBeInstanceOf(CapstanError);
      return undefined;
    }
  }

  /** The two points in which Python is less strict. */
  function ambiguous(text: string): boolean {
    const headings = text.split(/[\r\n]/).filter((each) => each.trim().startsWith('['));
    const whole = headings.every((each) => /^\s*\[[^[\]]+\]\s*$/.test(each));
    return !whole || headings.filter((each) => each.trim() === '[DEFAULT]').length > 1;
  }

  test('reads what RawConfigParser reads and refuses what it refuses', { timeout: 60_000 }, async () => {
    const texts = fc.sample(file, 3000);
    const answers = await python({ raw: texts });
    let read = 0;
    let refused = 0;
    texts.forEach((text, index) => {
      const mine = ours(text);
      const theirs = answers.raw[index]?.sections;
      if (mine === undefined && theirs !== undefined) expect(ambiguous(text)).toBe(true);
      if (mine === undefined) refused += 1;
      else {
        read += 1;
        const filled = Object.entries(theirs ?? {}).filter(([, values]) => Object.keys(values).length > 0);
        expect(mine).toEqual(Object.fromEntries(filled));
      }
    });
    expect(Math.min(read, refused)).toBeGreaterThan(100);
  });
});
