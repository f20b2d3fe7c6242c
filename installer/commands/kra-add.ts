import { Command } from 'commander';
import { refusal } from '../../src/errors.ts';
import type { KraRequest } from '../../src/flow/kra.ts';
import type { Site, TokenChoice } from '../../src/flow/site.ts';
import { quoted } from '../../src/names/quoted.ts';
import { collectSecrets } from '../../src/secret/sources.ts';
import {
  type Circumstances,
  type InstallingValues,
  installing,
  managerOptions,
  placesOf,
  type Ways,
} from '../installing.ts';
import { dsSecret, type SiteValues } from '../options/site.ts';
import { givenLibraryPath, tokenOptions, tokenSecret } from '../options/token.ts';
import { logFileOf } from '../session.ts';

const NAME = 'kra-add';

const DESCRIPTION =
  'Gives the server on this host a KRA, which archives private keys and secrets and recovers them. Its transport, ' +
  'storage and audit keys are on the token of the CA: made there for the first KRA of a cluster, used by every ' +
  'further one, which is a clone. The token is found by the HSM record; only passwords are asked for.';

const HELP_TAIL = `
What happens: everything is checked before anything changes. The token must be able to
wrap and to decrypt; for the first KRA nothing on it may bear a name of the KRA's yet,
for a clone it signs with each of the KRA's keys. Then the KRA is made, a text is
archived and recovered with the keys on the token, every CA of the cluster is told of
it, and its certificates are tracked. Tomcat is restarted: the CA of this host is away
for a minute, twice.

Examples:
  capstan kra-add
  capstan kra-add --unattended --ds-password-file /root/ds-password \\
    --token-password-file /root/token-password

Files:
  ${logFileOf(NAME)}   everything that was run, without passwords

Exit codes: 0 built, 1 a step failed, 2 refused and nothing was changed, 130 interrupted.`;

/** Everything that the options may leave behind. */
interface Values extends InstallingValues, Pick<SiteValues, 'dsPassword' | 'dsPasswordFile'> {}

/** The command `capstan kra-add`. */
export function command(): Command {
  const add = new Command(NAME).description(DESCRIPTION);
  managerOptions(add);
  tokenOptions(add);
  return installing(add, NAME, HELP_TAIL, WAYS);
}

const WAYS: Ways<Values> = {
  async begin(circumstances, options) {
    const { install } = await import('../../src/flow/installation.ts');
    const { kraAdd } = await import('../../src/flow/kra.ts');
    return install(circumstances.host, kraAdd, await readRequest(circumstances), options);
  },
  async resume(circumstances, { journal, site }, options) {
    const { resume } = await import('../../src/flow/installation.ts');
    const { kraAdd } = await import('../../src/flow/kra.ts');
    requireToken(site.token, circumstances.values);
    const request = { ...site, secrets: await readSecrets(circumstances) };
    return resume(circumstances.host, kraAdd, request, journal, options);
  },
};

/** The server on this host, its token as it is recorded, and the KRA that is to be cloned, if there is one. */
async function readRequest(circumstances: Circumstances<Values>): Promise<KraRequest> {
  const { host, values } = circumstances;
  const { siteForKra } = await import('../../src/flow/kra-site.ts');
  const site: Site = await siteForKra(host);
  requireToken(site.token, values);
  return { ...site, secrets: await readSecrets(circumstances) };
}

/** Passwords that exist, and are not chosen now. */
async function readSecrets({ values, host, asker }: Circumstances<Values>) {
  const requests = { ds: { ...dsSecret(values), chosen: false }, token: tokenSecret(values) };
  return collectSecrets(requests, placesOf(values, asker, host.signal));
}

/** A KRA is on the token of its CA, through the library that Dogtag on this host has loaded. */
function requireToken(token: TokenChoice, values: Values): void {
  const { tokenName = token.label } = values;
  if (tokenName !== token.label) {
    throw refusal(
      'token-name-differs',
      `The keys of the CA are on the token ${quoted(token.label)}; ${quoted(tokenName)} (--token-name) is another one. The keys of a KRA are on the token of its CA.`,
      'Leave --token-name out.',
    );
  }
  const libraryPath = givenLibraryPath(values) ?? token.libraryPath;
  if (libraryPath !== token.libraryPath) {
    throw refusal(
      'library-path-differs',
      `Dogtag on this host reaches the token by ${token.libraryPath}, not by ${libraryPath} (--library-path).`,
      'Leave --library-path out.',
    );
  }
}
