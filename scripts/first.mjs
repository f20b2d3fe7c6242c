/**
 * The set-up, and then a task. It runs before anything is installed, so it imports nothing but Node itself. It needs
 * Node 18, but no syntax that Node 12 (Debian 11) does not know, so that an older one can be told so.
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
const TASKS = ['test', 'quickstart', 'bench', 'faults'];
const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

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
  ...['ansible-core', 'ansible-lint', 'openssh-client'],
  ...['softhsm2', 'opensc', 'libnss3-tools', 'python3', 'openssl', 'ldap-utils', 'dbus'],
];

main(process.argv[2], process.argv.slice(3));

function main(task, args) {
  if (task !== undefined && !TASKS.includes(task))
    stop(`There is no task ${task}; there are ${TASKS.join(', ')}.`);
  if (process.platform !== 'linux' || process.arch !== 'x64')
    stop('Capstan is built and tested on Linux, x86-64.');
  if (Number(process.versions.node.split('.')[0]) < 18)
    stop(
      `This is Node ${process.versions.node}. Node 18 or later is needed to start; the rest runs with its own.`,
    );
  systemPackages();
  nodeModules();
  addon();
  if (task !== undefined)
    process.exit(run(NODE, [join('scripts', `${task}.ts`), ...args], insideEnvironment()));
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
  const query = spawnSync('dpkg-query', ['--show', '-f', '${db:Status-Status} ', name], { encoding: 'utf8' });
  // A word for each architecture that the machine has the package of.
  return query.status === 0 && query.stdout.split(' ').includes('installed');
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
    must(
      'npm',
      ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'],
      outsideEnvironment(),
    );
  }
  const version = String(spawnSync(NODE, ['--version'], { encoding: 'utf8' }).stdout || '').trim();
  if (!version.startsWith('v24.')) {
    stop(
      `node_modules/.bin/node is ${version || 'missing'}, not Node 24. Remove node_modules and run this again.`,
    );
  }
  writeFileSync(STAMP, wanted);
}

/**
 * The environment without any node_modules/.bin on the path: npm runs on the machine's own Node. Debian's npm finds
 * its parts with Debian's Node only, and node_modules is removed under the feet of the one in it.
 */
function outsideEnvironment() {
  const path = (process.env.PATH || SYSTEM_PATH)
    .split(':')
    .filter((one) => !one.endsWith('node_modules/.bin'));
  return { ...process.env, PATH: path.join(':') };
}

/** Whether node_modules belongs to this lock file: by the stamp, or by npm's own record being younger. */
function freshModules(wanted) {
  const record = join(HOME, 'node_modules/.package-lock.json');
  if (!existsSync(NODE) || !existsSync(record)) return false;
  if (existsSync(STAMP)) return readFileSync(STAMP, 'utf8') === wanted;
  return statSync(record).mtimeMs >= statSync(join(HOME, 'package-lock.json')).mtimeMs;
}

function addon() {
  if (run(NODE, ['scripts/addon.ts'], insideEnvironment()) !== 0)
    stop('The PKCS#11 addon was not built; the reason is above.');
}

/** Runs a program with this terminal's output and ends the set-up when it fails. */
function must(file, args, env) {
  const code = run(file, args, env);
  if (code !== 0) stop(`${file} ${args.join(' ')} failed with exit code ${code}.`);
}

/** The environment with the checkout's own programs first on the path. */
function insideEnvironment() {
  const path = `${join(HOME, 'node_modules/.bin')}:${process.env.PATH || SYSTEM_PATH}`;
  return { ...process.env, PATH: path };
}

/** Runs a program with this terminal's output; its exit code, 127 when it cannot be started. */
function run(file, args, env) {
  const done = spawnSync(file, args, { cwd: HOME, stdio: 'inherit', env });
  if (done.error) say(done.error.message);
  if (done.status !== null) return done.status;
  return done.signal === 'SIGINT' ? 130 : 127;
}

function say(text) {
  process.stdout.write(`[set-up] ${text}\n`);
}

function stop(text) {
  process.stderr.write(`[set-up] ${text}\n`);
  process.exit(1);
}
