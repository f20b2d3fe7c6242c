import { constants } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import { refusal } from '../errors.ts';
import { type ConfigEntry, KEYS_READ_RAW, parseConfig, unwritable } from '../host/configparser.ts';
import { Secret } from '../secret/secret.ts';
import { type CaDeployment, caDeployments, chosenValue, freeParameters } from './deployment.ts';
import { dogtagProfile, type Version } from './version.ts';

/** The sections that pkispawn reads for a CA. */
const SECTIONS = ['DEFAULT', 'Tomcat', 'CA'];

/**
 * What Capstan owns beside the parameters that it writes: whatever moves keys, certificates, passwords, names,
 * the directory or the security domain, makes another kind of CA, or moves the instance's files; and the deprecated
 * names that have no effect beside the new ones.
 */
const RESERVED = [
  /_token$|^pki_hsm_|^pki_token_/,
  /_password$|_pin$|_secret$/,
  /_nickname$|_subject_dn$|_key_type$/,
  /_(?:cert|csr|chain|pkcs12|certs)_(?:path|file|p12)$|pkcs12/,
  /^pki_(?:ssl_server_|admin_keysize$|ajp_host$)/,
  /^pki_(?:clone|master_hostname|master_https|replication|backup|external|existing|standalone|subordinate)/,
  /^pki_(?:ds|share_db|client|security_domain|issuing_ca|skip|server_database|database|import)/,
  /^pki_(?:subsystem|subsystem_type|instance_name|hostname|dns_domainname|user|group|audit_group)$/,
  /^pki_(?:source|systemd|cgroup|tomcat_(?!server_port)|target|theme_server)/,
  /^pki_(?:.*_)?(?:path|link)$/,
  /^pki_ca_(?:hostname|port|signing_record_create|signing_serial_number|starting_crl_number)$/,
  /^pki_(?:random_serial_numbers_enable|.*_id_generator|.*_number_range_.*)$/,
  /^pki_(?:enable_proxy|proxy_.*|master_crl_enable|use_.*|req_ext_.*|restart_configured_instance)$/,
];

/** What the values of the free parameters must be: preflight has looked for these on the token, and for no others. */
const VALUES: readonly { keys: RegExp; value: RegExp; names: string }[] = [
  {
    keys: /_(?:key|signing)_algorithm$/,
    value: /^SHA(?:256|384|512)withRSA$/,
    names: 'SHA256withRSA, SHA384withRSA or SHA512withRSA',
  },
  { keys: /_(?:key_size|keysize)$/, value: /^(?:2048|3072|4096)$/, names: '2048, 3072 or 4096' },
];

/**
 * The parameters of an administrator's override file, ready to be given to `caDeployments`.
 * Free are the parameters of `templates/ca-defaults.cfg` (the key sizes and algorithms of every certificate but the
 * size of the CA's own key, the administrator's mail address) and all parameters of pkispawn that Capstan neither
 * writes nor reserves, for instance `pki_ajp_port`, `pki_tomcat_server_port`, `pki_security_manager`,
 * `pki_status_request_timeout`, `pki_san_inject`, `pki_ca_signing_opFlags`. A free parameter takes effect from
 * whichever section it stands in; [CA] wins over [DEFAULT], and that over [Tomcat].
 * @param path absolute path of the file (UTF-8)
 * @throws CapstanError `override-path`, `override-missing`, `override-unreadable`, `override-not-a-file`,
 * `override-too-large`, `override-encoding`, `config-syntax`; `override-owned` when a key belongs to Capstan and `override-invalid` for
 * other faults, either with every fault of the file, its section and its line
 */
export async function readOverride(path: string): Promise<ConfigEntry[]> {
  if (!isAbsolute(path)) {
    throw refusal(
      'override-path',
      `The override file ${JSON.stringify(path)} is not an absolute path.`,
      'Give the whole path, from / on.',
    );
  }
  const entries = parseConfig(await readText(path), path);
  const keys = { owned: ownedKeys(), free: new Set(freeParameters().map((entry) => entry.key)) };
  const faults = [...spellingFaults(entries), ...entries.flatMap((entry) => faultsOf(entry, keys))];
  if (faults.length === 0) return entries;
  faults.sort((a, b) => a.line - b.line);
  throw refusal(
    faults.some((fault) => fault.owned) ? 'override-owned' : 'override-invalid',
    `The override file ${path} cannot be used: ${faults.map((fault) => fault.text).join('; ')}.`,
    'Remove or correct these lines and run the command again.',
  );
}

/**
 * The hash that the CA's own certificate is signed with, or its request: the administrator's choice, or the default.
 * @param path of the override file, if there is one
 * @throws CapstanError those of {@link readOverride}
 */
export async function signingHash(path: string | undefined): Promise<'SHA-256' | 'SHA-384' | 'SHA-512'> {
  const override = path === undefined ? [] : await readOverride(path);
  const algorithm = chosenValue(override, 'pki_ca_signing_key_algorithm');
  return `SHA-${/^SHA(256|384|512)/.exec(algorithm)?.[1] ?? '256'}` as 'SHA-256';
}

/** Every parameter that Capstan writes on any supported release of Dogtag and does not leave to the administrator. */
export function ownedKeys(): ReadonlySet<string> {
  const free = new Set(freeParameters().map((entry) => entry.key));
  const deployments = PROFILED.flatMap((version) =>
    caDeployments(sampleDeployment(), dogtagProfile(version)),
  );
  const keys = deployments.flatMap(({ sections }) =>
    Object.values(sections).flatMap((each) => Object.keys(each)),
  );
  return new Set(keys.filter((key) => !free.has(key)));
}

/** One release before and one after every change in the parameters that are written. */
const PROFILED: readonly Version[] = [
  [10, 10, 2],
  [11, 10, 0],
];

/** A deployment of which only the names of the parameters are looked at. */
function sampleDeployment(): CaDeployment {
  const unused = new Secret('capstan-parameter-names-only', 'sample');
  unused.forget();
  return {
    realm: 'SAMPLE',
    hostname: 'sample',
    caSubject: 'CN=sample',
    subjectBase: 'O=sample',
    keySize: 3072,
    token: { label: 'sample', libraryPath: '/sample', moduleName: 'sample', pin: unused },
    directory: { ldapsPort: 636, caFile: '/sample', password: unused },
    adminPassword: unused,
    clientDatabasePassword: unused,
    clientFolder: '/sample',
    agentFile: '/sample',
  };
}

/** Something wrong with one line. */
interface Fault {
  line: number;
  text: string;
  owned: boolean;
}

/** pkispawn takes keys apart by case in one reading and not in another. */
function spellingFaults(entries: readonly ConfigEntry[]): Fault[] {
  const spellings = new Map<string, string>();
  const faults: Fault[] = [];
  for (const { section, key, line } of entries) {
    const identity = `${section}\n${key.toLowerCase()}`;
    const other = spellings.get(identity);
    if (other !== undefined && other !== key) {
      const text = `${key} in [${section}], line ${line}, differs from ${other} in case only`;
      faults.push({ line, text, owned: false });
    }
    spellings.set(identity, key);
  }
  return faults;
}

/** Whose the parameters are. */
interface Keys {
  owned: ReadonlySet<string>;
  free: ReadonlySet<string>;
}

function faultsOf(entry: ConfigEntry, keys: Keys): Fault[] {
  const { section, key, line } = entry;
  const where = `${JSON.stringify(key).slice(1, -1)} in [${section}], line ${line},`;
  const fault = (text: string, isOwned = false) => [{ line, text: `${where} ${text}`, owned: isOwned }];
  if (isOwnedKey(key, keys)) return fault('belongs to Capstan', true);
  if (!SECTIONS.includes(section)) return fault(`is in a section other than ${SECTIONS.join(', ')}`);
  if (!/^pki_[A-Za-z0-9_]+$/.test(key)) return fault('is no parameter of pkispawn: those begin with pki_');
  if (!keys.free.has(key) && keys.free.has(key.toLowerCase()))
    return fault(`is spelled ${key.toLowerCase()}`);
  const reason = valueFault(entry);
  return reason ? fault(reason) : [];
}

/** A spelling in another case counts as the same key, so that none slips through. */
function isOwnedKey(key: string, { owned, free }: Keys): boolean {
  const lower = key.toLowerCase();
  if (free.has(lower)) return false;
  return owned.has(lower) || KEYS_READ_RAW.has(lower) || RESERVED.some((pattern) => pattern.test(lower));
}

function valueFault({ key, value }: ConfigEntry): string | undefined {
  const reason = unwritable(value);
  if (reason) return reason;
  if (/%/.test(value.replaceAll(/%%|%\([^)]+\)s/g, ''))) return 'has a lone %; write %% for one';
  if ([...value.matchAll(/%\(([^)]+)\)s/g)].some(([, name]) => /password|pin$|secret/i.test(name ?? ''))) {
    return 'refers to a password';
  }
  const rule = VALUES.find((each) => each.keys.test(key));
  return rule && !rule.value.test(value) ? `must be ${rule.names}` : undefined;
}

async function readText(path: string): Promise<string> {
  const bytes = await readBytes(path);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw refusal('override-encoding', `The override file ${path} is not UTF-8.`, 'Save it as UTF-8.', cause);
  }
}

/** The most bytes that an override may have: a hundred times what pkispawn has parameters for. */
const LONGEST = 1024 * 1024;

/** Looked at before it is opened, and opened without waiting, so that a FIFO or a device is left alone. */
async function readBytes(path: string): Promise<Buffer> {
  const { isFile, size } = await stat(path)
    .then((found) => ({ isFile: found.isFile(), size: found.size }))
    .catch((cause) => {
      throw unreachable(path, cause);
    });
  if (!isFile) {
    throw refusal(
      'override-not-a-file',
      `The override file ${path} is not a regular file.`,
      'Give the path of a file.',
    );
  }
  if (size > LONGEST) {
    throw refusal(
      'override-too-large',
      `The override file ${path} has ${size} bytes, and may have ${LONGEST}.`,
      'See whether it is the right file.',
    );
  }
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((cause) => {
    throw unreachable(path, cause);
  });
  try {
    return await file.readFile();
  } finally {
    await file.close();
  }
}

function unreachable(path: string, cause: NodeJS.ErrnoException) {
  const missing = cause.code === 'ENOENT';
  return refusal(
    missing ? 'override-missing' : 'override-unreadable',
    missing
      ? `The override file ${path} does not exist.`
      : `The override file ${path} cannot be read (${cause.code}).`,
    'Check the path and the permissions.',
    cause,
  );
}
