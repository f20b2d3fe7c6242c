import { refusal } from '../errors.ts';

/** A release: major, minor, patch. */
export type Version = readonly [major: number, minor: number, patch: number];

/**
 * Everything that differs between the releases of Dogtag that Capstan works with: from `since` on it is `after`.
 * A source is a commit or file of dogtagpki/pki, or the release on which it was seen for real.
 */
const CHANGES = {
  /**
   * Whether `pki_sslserver_token=internal` is honoured in one run. Before, the key is made in the internal token
   * and the certificate imported into the HSM; a second run of pkispawn with another configuration avoids that.
   */
  tlsKey: {
    since: [11, 3, 0],
    before: 'two-step',
    after: 'plain',
    source: 'commit 518a3e5c44; scriptlets/configuration.py of 10.10.2, seen',
  },
  /** The body of `GET /ca/admin/ca/getStatus`. */
  statusFormat: {
    since: [11, 0, 0],
    before: 'xml',
    after: 'json',
    source: 'pki.system.SystemStatusClient and pkiparser.get_server_status; XML seen on 10.10.2',
  },
  /** Where the CA's REST resources are; `/ca/rest` still answers up to 11.9 and can be off from 11.10. */
  restPath: {
    since: [11, 10, 0],
    before: '/ca/rest',
    after: '/ca/v2',
    source: 'REST API v2 is there from 11.6; v1 can be switched off from 11.10',
  },
  /** Whether certificates and requests can have random identifiers (`pki_cert_id_generator`). */
  randomSerialNumbers: {
    since: [11, 2, 0],
    before: false,
    after: true,
    source: 'default.cfg of 11.2 (the default from 11.5); not in default.cfg of 10.10.2, seen',
  },
  /** Whether the directory is given as `pki_ds_url`; the host, port and security keys are deprecated then. */
  dsUrl: { since: [11, 5, 0], before: false, after: true, source: 'default.cfg of 11.5' },
  /** Whether pkispawn runs the NSS tools as pkiuser, so that objects on a file-based token belong to it. */
  toolsAsPkiuser: {
    since: [11, 3, 0],
    before: false,
    after: true,
    source: 'commit c32df51903; root-owned token files seen on 10.10.2',
  },
  /** Whether pkispawn restarts the server at its end unless told not to (`pki_restart_configured_instance`). */
  restartSetting: {
    since: [11, 3, 0],
    before: true,
    after: false,
    source: 'default.cfg of 10.10.2, seen; removed in 11.3',
  },
  /** Whether a clone of replicated data is told to build its indexes (`pki_clone_reindex_data`); later ones always do. */
  reindexSetting: {
    since: [11, 7, 0],
    before: true,
    after: false,
    source: 'default.cfg of 10.10.2, seen; not in default.cfg of 11.7',
  },
  /** Whether a KRA can wrap with RSA-OAEP (`pki_use_oaep_rsa_keywrap`), which some HSMs and FIPS mode ask for. */
  oaepKeyWrap: {
    since: [11, 3, 0],
    before: false,
    after: true,
    source:
      'commit 05e194ef84; default.cfg of 11.3, not that of 11.1; no class of 10.10.2, or of its JSS 4.8.0, wraps by it (searched)',
  },
  /**
   * Whether AES key wrap is asked of a token by its standard mechanism. Before, NSS's own number for it is used, which no
   * HSM knows: private keys are archived by encrypting them then (`kra.allowEncDecrypt.*` of the KRA's CS.cfg).
   */
  standardKeyWrap: {
    since: [11, 10, 0],
    before: false,
    after: true,
    source: 'commit c110a79546; on 10.10.2 with SoftHSM the archival of keys by wrapping fails, seen',
  },
  /** Whether a request over TLS may have more than 16 KiB. */
  largeRequests: {
    since: [11, 3, 0],
    before: false,
    after: true,
    source: 'dogtagpki/jss pull request 865, in JSS 5.3; JSS 4.8.0 of 10.10.2, seen',
  },
  /** Whether keys can have random identifiers (`pki_key_id_generator`). */
  randomKeyIds: {
    since: [11, 2, 0],
    before: false,
    after: true,
    source: 'default.cfg of 11.2; not in default.cfg of 10.10.2, seen',
  },
} as const satisfies Record<string, Change>;

interface Change {
  since: Version;
  before: string | boolean;
  after: string | boolean;
  source: string;
}

/** How one release of Dogtag behaves, for the flows. */
export type DogtagProfile = {
  readonly [Name in keyof typeof CHANGES]: (typeof CHANGES)[Name]['before' | 'after'];
} & { readonly version: Version };

/** The programs that Capstan drives and the releases it works with: from `minimum`, below `end`. */
const SUPPORTED = {
  /** 10.10 is the oldest release whose two-step installation was seen; a next major release is unknown. */
  dogtag: { title: 'Dogtag PKI', minimum: [10, 10, 0], end: [12, 0, 0] },
  /** 1.4.4 is the oldest release that was seen with Dogtag over LDAPS. */
  directory: { title: '389 Directory Server', minimum: [1, 4, 4] },
  /** 0.79.13 has `key-token` and `cert-token` on D-Bus, seen. */
  certmonger: { title: 'certmonger', minimum: [0, 79, 13] },
} as const satisfies Record<string, Range>;

interface Range {
  title: string;
  minimum: Version;
  end?: Version;
}

/** Whether `version` is `other` or newer. */
export function atLeast(version: Version, other: Version): boolean {
  for (const [index, part] of version.entries()) {
    if (part !== other[index]) return part > (other[index] ?? 0);
  }
  return true;
}

/** The version as text: `10.10.2`. */
export function formatVersion(version: Version): string {
  return version.join('.');
}

/**
 * The release of Dogtag in `/usr/share/pki/VERSION` (`Implementation-Version: 10.10.2`), in the output of
 * `pki --version` (`PKI Command-Line Interface 11.5.0-1`), or in a package version (`10.10.2-3`).
 * `pki-server` and `pkispawn` of 10.10.2 have no `--version`: both end with a usage error.
 * @throws CapstanError `dogtag-version-unknown`
 */
export function parseDogtagVersion(text: string): Version {
  const version =
    versionIn(/^Implementation-Version:\s*(\d[\w.]*)/m, text) ??
    versionIn(/^(?:PKI Command-Line Interface|pki(?:-\w+)*)\s+v?(\d[\w.]*)/im, text) ??
    versionIn(/^(?:\d+:)?(\d[\w.]*)(?:[-+~]\S*)?\s*$/, text);
  return version ?? unknown('dogtag', 'pki-server');
}

/**
 * The release of 389-ds in the output of `ns-slapd -v` (`389-Directory/1.4.4.11 B2021.139.1122`; it ends with exit
 * code 1 on 1.4.4) or in a package version. `dsctl`, `dsconf` and `dscreate` of 1.4.4 have no `--version`.
 * @throws CapstanError `directory-version-unknown`
 */
export function parseDirectoryVersion(text: string): Version {
  const version =
    versionIn(/^389-Directory\/(\d[\w.]*)/m, text) ??
    versionIn(/^(?:\d+:)?(\d[\w.]*)(?:[-+~]\S*)?\s*$/, text);
  return version ?? unknown('directory', '389-ds-base');
}

/**
 * The release of certmonger in the output of `certmonger -v` (`certmonger 0.79.13`) or in a package version.
 * `getcert` of 0.79.13 has no such option.
 * @throws CapstanError `certmonger-version-unknown`
 */
export function parseCertmongerVersion(text: string): Version {
  const version =
    versionIn(/^certmonger (\d[\w.]*)/m, text) ?? versionIn(/^(?:\d+:)?(\d[\w.]*)(?:[-+~]\S*)?\s*$/, text);
  return version ?? unknown('certmonger', 'certmonger');
}

/**
 * How a release of Dogtag behaves.
 * @throws CapstanError `dogtag-unsupported`
 */
export function dogtagProfile(version: Version): DogtagProfile {
  requireSupported('dogtag', version);
  const behaviour = Object.entries(CHANGES).map(([name, { since, before, after }]) => [
    name,
    atLeast(version, since) ? after : before,
  ]);
  return { ...Object.fromEntries(behaviour), version } as DogtagProfile;
}

/**
 * Refuses a release that Capstan does not work with.
 * @throws CapstanError `dogtag-unsupported`, `directory-unsupported`, `certmonger-unsupported`
 */
export function requireSupported(program: keyof typeof SUPPORTED, version: Version): void {
  const { title, minimum, end }: Range = SUPPORTED[program];
  if (atLeast(version, minimum) && !(end && atLeast(version, end))) return;
  const range = `${formatVersion(minimum)} or newer${end ? `, below ${formatVersion(end)}` : ''}`;
  throw refusal(
    `${program}-unsupported`,
    `${title} ${formatVersion(version)} is not supported; Capstan works with ${range}.`,
    `Install ${title} ${range} and run the command again.`,
  );
}

function versionIn(pattern: RegExp, text: string): Version | undefined {
  const [, major, minor, patch] = /^(\d+)\.(\d+)(?:\.(\d+))?/.exec(pattern.exec(text)?.[1] ?? '') ?? [];
  return major === undefined ? undefined : [Number(major), Number(minor), Number(patch ?? 0)];
}

function unknown(program: keyof typeof SUPPORTED, name: string): never {
  throw refusal(
    `${program}-version-unknown`,
    `The version of ${SUPPORTED[program].title} could not be found out.`,
    `Check that the package of ${name} is installed and whole.`,
  );
}
