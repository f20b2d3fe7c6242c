import { Command } from 'commander';
import type { FlowOptions } from '../../src/flow/installation.ts';
import type { Kept } from '../../src/flow/sealed.ts';
import type { ServerRequest, Site } from '../../src/flow/site.ts';
import { passingSecret } from '../../src/secret/passing.ts';
import { collectSecrets, isGiven, type SecretPlaces } from '../../src/secret/sources.ts';
import {
  type Circumstances,
  fullHostName,
  type InstallingValues,
  installing,
  placesOf,
  type Ways,
} from '../installing.ts';
import {
  type ExternalValues,
  externalOptions,
  keepSecretsOption,
  readCertificateFiles,
  readExternal,
} from '../options/external.ts';
import {
  adminOptions,
  adminSecret,
  directoryOptions,
  dsSecret,
  readSite,
  type SiteValues,
} from '../options/site.ts';
import { readSubjects, type SubjectValues, subjectOptions } from '../options/subject.ts';
import { together } from '../options/together.ts';
import { readToken, tokenOptions, tokenSecret } from '../options/token.ts';
import { logFileOf } from '../session.ts';
import { requireSame } from '../unfinished.ts';

const NAME = 'server-install';

const DESCRIPTION =
  'Builds the first server of a cluster on this host: a directory, and a certificate authority whose signing, ' +
  'OCSP, audit and subsystem keys are made on the token and never leave it. Certificates are tracked ' +
  'by certmonger.';

const HELP_TAIL = `
What happens:
  1. What is not given is asked for: names, the token, and the three passwords.
  2. Everything is checked before anything changes: the host, the programs, the
     override file, and the token, through its library and as the user pkiuser.
     All that is wrong is reported together.
  3. The steps run, each shown with its time. When one fails, what this run made is
     taken back, unless --keep is given; at a terminal you are asked.
  4. The report says what was built, where it is and what to do next.

When a run did not come to its end, killed or cut off from its power, nothing is lost:
  its journal tells what was begun. The next run asks, or is told, which way to take:
    capstan server-install --resume     go on; only the passwords are needed again
    capstan server-install --undo       take everything back, on the token as well

A CA that another authority signs:
  capstan server-install --external-ca makes the CA's key on the token and a request for
  its certificate, and waits; docs/external-ca.md tells more. Days later
  capstan server-install --external-cert-file FILE goes on. All options are kept but the
  passwords, and the one of the administrator is asked for then. With --keep-secrets the
  token seals the passwords in the first stage, and its own is all that is asked for then.

Passwords:
  A password comes from a question, from a file of one line that only its owner may
  read, from standard input (-), or from systemd's credentials directory, as a file
  named ds-password, admin-password or token-password. An option that holds the
  password itself is seen by others in the process list for a moment, and by your
  shell's history for longer.

Examples:
  Ask for everything:
    capstan server-install

  Look, but do not touch:
    capstan server-install --dry-run

  Without questions, on the token "HSM" of SoftHSM:
    capstan server-install --unattended --hostname ca1.example.test \\
      --token-name HSM --library-path /usr/lib/softhsm/libsofthsm2.so \\
      --token-password-file /root/token-password \\
      --ds-password-file /root/ds-password --admin-password-file /root/admin-password

Files:
  ${logFileOf(NAME)}   everything that was run, without passwords

Exit codes: 0 built, 1 a step failed, 2 refused and nothing was changed, 130 interrupted.`;

/** Everything that the options may leave behind. */
interface Values extends InstallingValues, SiteValues, SubjectValues, ExternalValues {
  setupKra?: boolean;
}

/** The command `capstan server-install`. */
export function command(): Command {
  const install = new Command(NAME).description(DESCRIPTION);
  directoryOptions(install);
  adminOptions(install);
  tokenOptions(install);
  install
    .optionsGroup('Key recovery:')
    .option('--setup-kra', 'with a KRA, which archives private keys; "capstan kra-add" does it later');
  subjectOptions(install);
  keepSecretsOption(externalOptions(install));
  return installing(install, NAME, HELP_TAIL, WAYS);
}

const WAYS: Ways<Values> = {
  async begin(circumstances, options) {
    const { install } = await import('../../src/flow/installation.ts');
    const { serverInstall } = await import('../../src/flow/server.ts');
    return install(circumstances.host, serverInstall, await readRequest(circumstances), options);
  },
  async resume(circumstances, { journal, site }, options) {
    const { resume } = await import('../../src/flow/installation.ts');
    const { serverInstall } = await import('../../src/flow/server.ts');
    const { hasCertificate } = await import('../../src/flow/external.ts');
    const { keptIn } = await import('../../src/flow/sealed.ts');
    const { values } = circumstances;
    const kept = keptIn(journal);
    const isFirstStage = site.external !== undefined && !values.externalCertFile && !hasCertificate(journal);
    const wanted = { isFirstStage, kept: kept !== undefined };
    const request = await readRequest(circumstances, { ...valuesOf(site, values), ...values }, wanted);
    requireSame(site, request);
    const secrets = await withKept(circumstances, site, kept, request.secrets, options.listen);
    return resume(circumstances.host, serverInstall, { ...request, secrets }, journal, options);
  },
};

/** The options that an installation began with, where they are not given again. */
function valuesOf({ token, ...site }: Site, { tokenLibraryPath }: Values): Values {
  return {
    hostname: site.hostname,
    domain: site.domain,
    realm: site.realm,
    caSubject: site.caSubject,
    subjectBase: site.subjectBase,
    keySize: String(site.keySize),
    ...(site.setupKra && { setupKra: true }),
    ...(site.external && { externalCa: true, externalCaType: site.external.type }),
    ...(site.external?.keepSecrets && { keepSecrets: true }),
    ...(site.external?.profile !== undefined && { externalCaProfile: site.external.profile }),
    ...(site.override !== undefined && { pkiConfigOverride: site.override }),
    tokenName: token.label,
    ...(tokenLibraryPath === undefined && { libraryPath: token.libraryPath }),
  };
}

/** The request that options, files and answers make, judged as far as it can be without touching the host. */
async function readRequest(
  { host, asker, values: given }: Circumstances<Values>,
  values = given,
  stage: Stage = { isFirstStage: values.externalCa === true, kept: false },
): Promise<ServerRequest> {
  const parts = await together(
    {
      site: async () => {
        const system = values.hostname === undefined ? await fullHostName(host) : undefined;
        const site = await readSite(values, asker, system);
        return { ...site, ...(await readSubjects(values, site.realm)) };
      },
      token: () => readToken(values, asker),
      external: () => readExternal(values),
      certificateFiles: () => readCertificateFiles(values),
      secrets: () => readSecrets(values, placesOf(values, asker, host.signal), stage),
    },
    asker !== undefined,
  );
  const { override, ...site } = parts.site;
  const { external, certificateFiles } = parts;
  return {
    ...site,
    token: parts.token,
    secrets: parts.secrets,
    ...(external && { external }),
    ...(certificateFiles && { certificateFiles }),
    ...(override !== undefined && { override }),
    ...(values.setupKra && { setupKra: true }),
  };
}

/** Which passwords a run of an externally signed CA has to be given. */
interface Stage {
  isFirstStage: boolean;
  /** Whether the token keeps those that are not given. */
  kept: boolean;
}

/**
 * The passwords that are given or asked for, and in the place of the others what nobody uses. The administrator is made
 * in the second stage: unless it is kept for that, the first one only judges a password that is given all the same.
 */
async function readSecrets(
  values: Values,
  places: SecretPlaces,
  { isFirstStage, kept }: Stage,
): Promise<ServerRequest['secrets']> {
  // In the order in which a person is asked for them.
  const all = { ds: dsSecret(values), admin: adminSecret(values), token: tokenSecret(values) };
  const isSpared = {
    ds: kept,
    admin: kept || (isFirstStage && !values.keepSecrets),
    token: false,
  };
  const wanted = Object.entries(all).filter(
    ([name, request]) => !isSpared[name as keyof typeof all] || isGiven(request, places),
  );
  const collected: Partial<ServerRequest['secrets']> = await collectSecrets(
    Object.fromEntries(wanted),
    places,
  );
  const unused = { ds: passingSecret(all.ds.what), admin: passingSecret(all.admin.what) };
  return { ...unused, ...collected } as ServerRequest['secrets'];
}

/** The secrets of a run, with those that the token keeps in the place of the ones that were not given. */
async function withKept(
  { host, values, asker }: Circumstances<Values>,
  site: Site,
  kept: Kept | undefined,
  secrets: ServerRequest['secrets'],
  listen: FlowOptions['listen'],
): Promise<ServerRequest['secrets']> {
  const places = placesOf(values, asker, host.signal);
  const given = {
    ...(isGiven(dsSecret(values), places) && { ds: secrets.ds }),
    ...(isGiven(adminSecret(values), places) && { admin: secrets.admin }),
  };
  if (kept?.state !== 'sealed' || Object.keys(given).length === 2) return secrets;
  const { keptSecrets } = await import('../../src/flow/sealed.ts');
  return {
    ...secrets,
    ...(await keptSecrets(host, kept.facts, secrets.token, { token: site.token }, listen)),
    ...given,
  };
}
