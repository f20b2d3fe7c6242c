/** The Ansible collection, without hosts: it can be built, its playbooks are sound, and it takes what it says it takes. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const COLLECTION = fileURLToPath(new URL('../../../playbooks', import.meta.url));
/** This machine as three hosts, between the first and the third one that nobody answers for. */
const INVENTORY = fileURLToPath(new URL('lost-host.ini', import.meta.url));
/** Those of "ansible-test sanity" that install nothing with pip. */
const SANITY = [
  ...['action-plugin-docs', 'compile', 'empty-init', 'future-import-boilerplate', 'ignores', 'line-endings'],
  ...['metaclass-boilerplate', 'no-assert', 'no-basestring', 'no-dict-iteritems', 'no-dict-iterkeys'],
  ...['no-dict-itervalues', 'no-get-exception', 'no-illegal-filenames', 'no-main-display', 'no-smart-quotes'],
  ...[
    'no-unicode-literals',
    'replace-urlopen',
    'shebang',
    'symlinks',
    'use-argspec-type-path',
    'use-compat-six',
  ],
];
const SPECS = fileURLToPath(new URL('specs.py', import.meta.url));

type Options = Record<string, Record<string, unknown>>;
interface Found {
  modules: Record<string, { taken: Options; documented: Options; secret: string[]; overStdin: boolean }>;
  roles: Record<
    string,
    {
      documented: string[];
      defaults: Record<string, unknown>;
      given: Record<string, unknown>;
      secret: string[];
    }
  >;
}

let folder: string;
let environment: NodeJS.ProcessEnv;
let found: Found;

function run(file: string, ...words: string[]): string {
  return execFileSync(file, words, { env: environment, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Of the Python that Ansible of the distribution runs with: 3.11. */
function pythonVersion(): string {
  return run('/usr/bin/python3', '-c', 'import sys; print("%d.%d" % sys.version_info[:2])').trim();
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'capstan-collection-'));
  environment = {
    PATH: process.env.PATH,
    LANG: 'C.UTF-8',
    HOME: folder,
    ANSIBLE_HOME: folder,
    ANSIBLE_COLLECTIONS_PATH: folder,
    ANSIBLE_LOCALHOST_WARNING: 'false',
    PYTHONPATH: folder,
  };
  run('ansible-galaxy', 'collection', 'build', COLLECTION, '--output-path', folder);
  const [archive = ''] = readdirSync(folder).filter((name) => name.endsWith('.tar.gz'));
  run('ansible-galaxy', 'collection', 'install', join(folder, archive), '--offline', '-p', folder);
  const installed = join(folder, 'ansible_collections/capstan/cluster');
  found = JSON.parse(run('/usr/bin/python3', SPECS, installed));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the collection', () => {
  test('has modules and roles', () => {
    expect(Object.keys(found.modules).length).toBeGreaterThan(5);
    expect(Object.keys(found.roles)).toEqual(
      ['health', 'host', 'kra', 'replica', 'server'].map((name) => `capstan_${name}`),
    );
  });

  test('documents every parameter of a module as it takes it', () => {
    for (const [name, { taken, documented }] of Object.entries(found.modules)) {
      expect([name, taken]).toEqual([name, documented]);
    }
  });

  test('keeps what is secret out of the logs, and sends it over standard input alone', () => {
    for (const [name, { taken, secret, overStdin }] of Object.entries(found.modules)) {
      const wanted = Object.keys(taken).filter((option) => /password|secret/.test(option));
      expect([name, secret]).toEqual([name, wanted.toSorted()]);
      if (secret.length > 0) expect([name, overStdin]).toEqual([name, true]);
    }
    for (const [name, { documented, secret }] of Object.entries(found.roles)) {
      expect([name, secret]).toEqual([name, documented.filter((option) => option.endsWith('_password'))]);
    }
  });

  test('documents every variable that a role gives a default, with that default', () => {
    for (const [name, { documented, defaults, given }] of Object.entries(found.roles)) {
      for (const [variable, value] of Object.entries(given)) {
        expect([name, documented]).toEqual([name, expect.arrayContaining([variable])]);
        // A default that depends on another variable is told in words.
        if (typeof value === 'string' && value.includes('{{')) continue;
        expect([name, variable, value]).toEqual([name, variable, defaults[variable]]);
      }
    }
  });

  test('has playbooks that Ansible can read', () => {
    const names = readdirSync(join(COLLECTION, 'playbooks')).map((name) => name.replace(/\.yml$/, ''));
    expect(names).toEqual(
      expect.arrayContaining(['site', 'add_replica', 'add_kra', 'renew', 'health', 'uninstall']),
    );
    const words = names.map((name) => `capstan.cluster.${name}`);
    const read = run('ansible-playbook', '--syntax-check', '-i', 'localhost,', ...words);
    expect(read.match(/^playbook: /gm)?.length).toBe(names.length);
  });

  test.each([
    ['replicas', ['ca3']],
    ['kras', ['ca1']],
    ['renew', ['ca1']],
    ['uninstall', []],
  ])('begins no further host in %s when one cannot be reached any more', (name, begun) => {
    const words = ['--check', '-i', INVENTORY, `capstan.cluster.${name}`];
    const { status, stdout } = spawnSync('ansible-playbook', words, { env: environment, encoding: 'utf8' });
    const told = [...stdout.matchAll(/^(ca\d)\s+: ok=\d+\s+changed=\d+\s+unreachable=(\d)/gm)];
    const lost = told.filter(([, , unreachable]) => unreachable === '1').map(([, host]) => host);
    const others = told.filter(([, , unreachable]) => unreachable === '0').map(([, host]) => host);
    expect([status, lost, others]).toEqual([4, ['ca2'], begun]);
  });

  test('passes the tests of ansible-test that need nothing from elsewhere', () => {
    const words = [
      'sanity',
      '--color',
      'no',
      '--python',
      pythonVersion(),
      ...SANITY.flatMap((one) => ['--test', one]),
    ];
    const at = join(folder, 'ansible_collections/capstan/cluster');
    const tested = spawnSync('ansible-test', words, { cwd: at, env: environment, encoding: 'utf8' });
    expect([tested.status, tested.stdout.match(/^Running sanity test /gm)?.length]).toEqual([
      0,
      SANITY.length,
    ]);
  });

  test('passes ansible-lint with the profile for production', () => {
    // It finds the roles and modules of the collection where it is installed.
    const words = ['--offline', '--nocolor', '--project-dir', COLLECTION];
    const linted = spawnSync('ansible-lint', words, { cwd: COLLECTION, env: environment, encoding: 'utf8' });
    expect([linted.status, linted.stdout]).toEqual([0, '']);
    expect(linted.stderr).toMatch(/^Passed with production profile: 0 failure/m);
  });

  test('tells of itself', () => {
    const words = Object.keys(found.modules).map((name) => `capstan.cluster.${name}`);
    expect(run('ansible-doc', ...words)).toContain('CAPSTAN.CLUSTER.SERVER_INSTALL');
  });
});
