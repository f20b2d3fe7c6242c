import { Command } from 'commander';
import { refusal } from '../../src/errors.ts';
import type { ReplicaRequest, ReplicaSite } from '../../src/flow/replica.ts';
import { parseHostname } from '../../src/names/domain.ts';
import { type Circumstances, fullHostName, installing, type Ways } from '../installing.ts';
import { givenManager, type JoiningValues, readClusterRequest, readResumedRequest } from '../joining.ts';
import { readField } from '../options/field.ts';
import { joinOptions } from '../options/join.ts';
import { tokenOptions } from '../options/token.ts';
import { logFileOf } from '../session.ts';

const NAME = 'replica-install';

const DESCRIPTION =
  'Makes this host another server of a cluster: a directory that replicates with the others both ways over TLS, ' +
  'and a clone of the certificate authority that uses the same keys on the same token. The token is found by the ' +
  "cluster's HSM record; only passwords are asked for.";

const HELP_TAIL = `
What happens:
  1. The server that is joined is trusted by its CA certificate: from a file, by its
     fingerprint, or after you have compared the fingerprint. Everything that is sent
     after that goes over verified TLS.
  2. The cluster is read: its names, its servers, its HSM record.
  3. Everything is checked before anything changes, on this host and there; the token
     of this host signs with each of the cluster's keys.
  4. The steps run, each shown with its time. When one fails, what this run made is
     taken back, here and on the other servers, unless --keep is given.

Who may join:
  With the Directory Manager's password, which the new directory gets as well. Or with
  a join secret, which "capstan replica-prepare HOST" draws on the server that is
  joined, for this host alone and for a limited time; the new directory's password is
  chosen then.

Examples:
  Ask for everything that is not given:
    capstan replica-install --server ca1.example.test --ca-fingerprint sha256:12ab...

  Without questions:
    capstan replica-install --unattended --server ca1.example.test \\
      --ca-cert-file /root/ca.crt --ds-password-file /root/ds-password \\
      --token-password-file /root/token-password

  A server without a CA, which gets one later with "capstan ca-add":
    capstan replica-install --server ca1.example.test --no-setup-ca

Files:
  ${logFileOf(NAME)}   everything that was run, without passwords

Exit codes: 0 built, 1 a step failed, 2 refused and nothing was changed, 130 interrupted.`;

/** Everything that the options may leave behind. */
interface Values extends JoiningValues {
  hostname?: string;
  setupCa?: boolean;
  setupKra?: boolean;
}

/** The command `capstan replica-install`. */
export function command(): Command {
  const install = new Command(NAME).description(DESCRIPTION);
  joinOptions(install);
  install
    .optionsGroup('Server and directory:')
    .option('--hostname <name>', "fully qualified name of this host (default: the system's)")
    .option('-p, --ds-password <password>', 'password of the Directory Manager (better: the next option)')
    .option('--ds-password-file <file>', 'file that holds it; - reads standard input')
    .option('--setup-ca', 'with a clone of the CA, as is the default')
    .option('--no-setup-ca', 'without a CA')
    .option('--setup-kra', 'with a KRA, which archives private keys: a clone where the cluster has one')
    .option('--allow-exposed-password-files', 'accept password files that other users can read');
  tokenOptions(install);
  refuseBoth(install, 'setup-ca', 'no-setup-ca');
  refuseBoth(install, 'setup-kra', 'no-setup-ca');
  return installing(install, NAME, HELP_TAIL, WAYS);
}

/** Of two options for one setting the first would be dropped without a word. */
function refuseBoth(install: Command, ...names: string[]): void {
  const given = new Set<string>();
  for (const name of names) {
    install.on(`option:${name}`, () => {
      given.add(name);
      if (given.size > 1)
        throw refusal('usage', `--${names.join(' and --')} contradict each other.`, 'Give one of them.');
    });
  }
}

const WAYS: Ways<Values> = {
  manager: givenManager,
  async begin(circumstances, options) {
    const { install } = await import('../../src/flow/installation.ts');
    const { replicaInstall } = await import('../../src/flow/replica.ts');
    return install(circumstances.host, replicaInstall, await readRequest(circumstances), options);
  },
  async resume(circumstances, { journal, site }, options) {
    const { resume } = await import('../../src/flow/installation.ts');
    const { replicaInstall } = await import('../../src/flow/replica.ts');
    const { hostname, setupCa, setupKra } = circumstances.values;
    const begun = { hostname, setupCa, setupKra };
    const request = await readResumedRequest(circumstances, site as ReplicaSite, journal, begun);
    return resume(circumstances.host, replicaInstall, request, journal, options);
  },
};

async function readRequest(circumstances: Circumstances<Values>): Promise<ReplicaRequest> {
  const { values, host, asker } = circumstances;
  const { hostname = await fullHostName(host), setupCa = true, setupKra = false } = values;
  const field = { option: '--hostname', what: 'host name', given: hostname, parse: parseHostname };
  return readClusterRequest(circumstances, { hostname: () => readField(field, asker), setupCa, setupKra });
}
