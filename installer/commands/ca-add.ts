import { Command } from 'commander';
import { refusal } from '../../src/errors.ts';
import type { ReplicaRequest, ReplicaSite } from '../../src/flow/replica.ts';
import { type Circumstances, installing, managerOptions, type Ways } from '../installing.ts';
import { givenManager, type JoiningValues, readClusterRequest, readResumedRequest } from '../joining.ts';
import { joinOptions } from '../options/join.ts';
import { tokenOptions } from '../options/token.ts';
import { logFileOf } from '../session.ts';

const NAME = 'ca-add';

const DESCRIPTION =
  'Gives the server on this host, installed with --no-setup-ca, a clone of the certificate authority: it uses the ' +
  "same keys on the same token, which is found by the cluster's HSM record.";

const HELP_TAIL = `
What happens: the token of this host signs with each of the cluster's keys, and all else
is checked, before anything changes. Then the CA's data are replicated from the server
that this one joined (or from --server), and the clone is made, tracked and recorded.

Examples:
  capstan ca-add
  capstan ca-add --unattended --ds-password-file /root/ds-password \\
    --token-password-file /root/token-password

Files:
  ${logFileOf(NAME)}   everything that was run, without passwords

Exit codes: 0 built, 1 a step failed, 2 refused and nothing was changed, 130 interrupted.`;

/** The command `capstan ca-add`. */
export function command(): Command {
  const add = new Command(NAME).description(DESCRIPTION);
  joinOptions(add);
  managerOptions(add);
  tokenOptions(add);
  return installing(add, NAME, HELP_TAIL, WAYS);
}

const WAYS: Ways<JoiningValues> = {
  manager: givenManager,
  async begin(circumstances, options) {
    const { install } = await import('../../src/flow/installation.ts');
    const { caAdd } = await import('../../src/flow/ca-add.ts');
    return install(circumstances.host, caAdd, await readRequest(circumstances), options);
  },
  async resume(circumstances, { journal, site }, options) {
    const { resume } = await import('../../src/flow/installation.ts');
    const { caAdd } = await import('../../src/flow/ca-add.ts');
    const request = await readResumedRequest(circumstances, site as ReplicaSite, journal, {});
    return resume(circumstances.host, caAdd, request, journal, options);
  },
};

/** The server on this host knows whom it joined, and has the CA certificate that it trusts. */
async function readRequest(circumstances: Circumstances<JoiningValues>): Promise<ReplicaRequest> {
  const { CA_FILE, installedServer } = await import('../../src/flow/site.ts');
  const { asRefusal } = await import('../../src/flow/refusals.ts');
  const { site, hasCa } = await installedServer().catch((error: unknown) => {
    throw asRefusal(error);
  });
  if (hasCa) throw withCa(site.hostname);
  const { server = site.supplier, ...others } = circumstances.values;
  const trust = others.caCertFile ?? others.caFingerprint;
  const values = {
    ...others,
    ...(server !== undefined && { server }),
    ...(trust === undefined && { caCertFile: CA_FILE }),
  };
  return readClusterRequest(
    { ...circumstances, values },
    { hostname: () => site.hostname, setupCa: true, hasDirectory: true },
  );
}

function withCa(hostname: string) {
  return refusal(
    'ca-exists',
    `The server ${hostname} has a certificate authority already.`,
    'See how it is with "capstan status".',
  );
}
