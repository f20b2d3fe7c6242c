/**
 * The set-up, and then a task. It runs before anything is installed, so it is plain JavaScript for
 * Node 18 and later and imports nothing but Node itself.
 *
 *   node scripts/first.mjs              sets up, and nothing else
 *   node scripts/first.mjs test         sets up, then runs scripts/test.ts under Node 24
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HOME = dirname(dirname(fileURLToPath(import.meta.url)));
const NODE = join(HOME, 'node_modules/.bin/node');
const STAMP = join(HOME, 'node_modules/.capstan-lock');
const TASKS = ['test', 'quickstart', 'bench'];

/** What building, the tests and the lab need from the distribution. Names are those of Debian and Ubuntu. */
const PACKAGES = [
  ...['gcc', 'g++', 'make', 'libc6-dev', 'binutils', 'ca-certificates'],
  ...[
    'mmdebstrap',
    'debian-archive-keyring',
    'systemd-container',
    'bindfs',
    'fuse3',
    'iproute2',
    'util-linux',
  ],
  ...['softhsm2', 'opensc', 'python3', 'openssl', 'ldap-utils'],
];

main(process.argv[2], process.argv.slice(3));

function main(task, args) {
  if (task !== undefined && !TASKS.includes(task))
    stop(`There is no task ${task}; there are ${TASKS.join(', ')}.`);
  if (process.platform !== 'linux' || process.arch !== 'x64')
    stop('Capstan is built and tested on Linux, x86-64.');
  systemPackages();
  nodeModules();
  addon();
  if (task !== undefined) process.exit(run(NODE, [join('scripts', `${task}.ts`), ...args]));
  say('everything is in place');
}

/** Installs the packages that are missing, and asks apt for nothing when none is. */
function systemPackages() {
  if (!existsSync('/usr/bin/apt-get')) {
    stop(
      'There is no apt-get. The set-up, the tests and the lab need Debian or a distribution made from it.',
    );
  }
  const missing = PACKAGES.filter((name) => !installed(name));
  if (missing.length === 0) return;
  if (process.getuid() !== 0)
    stop(`These packages are missing: ${missing.join(' ')}. Install them, or run this as root.`);
  say(`installing ${missing.length} packages: ${missing.join(' ')}`);
  const apt = ['-o', 'DPkg::Lock::Timeout=300', '-o', 'Acquire::Retries=3', '-q'];
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  must('apt-get', [...apt, 'update'], env);
  must('apt-get', [...apt, 'install', '--yes', '--no-install-recommends', ...missing], env);
  const still = missing.filter((name) => !installed(name));
  if (still.length > 0) stop(`apt-get ended well, yet these packages are not installed: ${still.join(' ')}.`);
}

function installed(name) {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the braces are dpkg-query's own format.
  const query = spawnSync('dpkg-query', ['--show', '-f', '${db:Status-Status}', name], { encoding: 'utf8' });
  return query.stdout === 'installed';
}

/**
 * Installs the npm packages exactly as locked, without their install scripts: Node 24 is an ordinary package
 * with a checksum in the lock file, and the one addon is compiled by {@link addon}.
 */
function nodeModules() {
  const lock = readFileSync(join(HOME, 'package-lock.json'));
  const wanted = createHash('sha256').update(lock).digest('hex');
  if (!freshModules(wanted)) {
    say('installing the npm packages of package-lock.json');
    must('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], process.env);
  }
  const version = spawnSync(NODE, ['--version'], { encoding: 'utf8' }).stdout?.trim();
  if (!version?.startsWith('v24.')) {
    stop(
      `node_modules/.bin/node is ${version || 'missing'}, not Node 24. Remove node_modules and run this again.`,
    );
  }
  writeFileSync(STAMP, wanted);
}

/** Whether node_modules belongs to this lock file: by the stamp, or by npm's own record being younger. */
function freshModules(wanted) {
  const record = join(HOME, 'node_modules/.package-lock.json');
  if (!existsSync(NODE) || !existsSync(record)) return false;
  if (existsSync(STAMP)) return readFileSync(STAMP, 'utf8') === wanted;
  return statSync(record).mtimeMs >= statSync(join(HOME, 'package-lock.json')).mtimeMs;
}

function addon() {
  if (run(NODE, ['scripts/addon.ts']) !== 0) stop('The PKCS#11 addon was not built; the reason is above.');
}

/** Runs a program with this terminal's output and ends the set-up when it fails. */
function must(file, args, env) {
  const code = run(file, args, env);
  if (code !== 0) stop(`${file} ${args.join(' ')} failed with exit code ${code}.`);
}

/** Runs a program with this terminal's output; its exit code, 127 when it cannot be started. */
function run(file, args, env = process.env) {
  const path = `${join(HOME, 'node_modules/.bin')}:${env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin'}`;
  const done = spawnSync(file, args, { cwd: HOME, stdio: 'inherit', env: { ...env, PATH: path } });
  if (done.error) say(done.error.message);
  return done.status ?? (done.signal === 'SIGINT' ? 130 : 127);
}

function say(text) {
  process.stdout.write(`[set-up] ${text}\n`);
}

function stop(text) {
  process.stderr.write(`[set-up] ${text}\n`);
  process.exit(1);
}
