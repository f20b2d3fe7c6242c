/** A control host in the lab: Ansible, the collection, an inventory of the lab's hosts, and their secrets in a vault. */
import { cp, mkdir, readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Host } from '../../../src/host/host.ts';
import { type LabExecOptions, labExec, labRootPath } from '../../../src/lab/lab.ts';
import { DOMAIN, VALUES_FOLDER } from '../../../src/lab/settings.ts';

/** The host that the playbooks are run on; it is no server. */
export const CONTROL = 'control';
/** What Ansible writes while a playbook runs, with all that it can be made to tell. */
export const LOG = '/var/log/ansible.log';
/** The user whom Ansible logs in as, who becomes root by sudo. */
export const USER = 'deploy';
const FOLDER = '/srv/cluster';
const ANSIBLE = '/opt/ansible';
const COLLECTION = 'opt/collections/ansible_collections/capstan/cluster';

const CHECKOUT = fileURLToPath(new URL('../../../', import.meta.url));

/**
 * Ansible is that of this machine: the release of the lab's hosts has one that is older than the oldest supported. What is
 * taken needs no compiled part; what does, for the vault, the hosts have themselves.
 */
const PACKAGES = '/usr/lib/python3/dist-packages';
const TAKEN = /^(ansible|jinja2|markupsafe|yaml|resolvelib)$|^(ansible_core|jinja2|pyyaml)-/i;

/** A host's part in a run, as the recap of Ansible tells it. */
export interface Recap {
  changed: number;
  unreachable: number;
  failed: number;
}

/** A playbook that has come to its end. */
export interface Played {
  exit: number;
  output: string;
  /** By the hosts' short names. */
  recap: Record<string, Recap>;
}

/** How a cluster is to be built. */
export interface ControlRequest {
  /** The bundle that the hosts get. */
  bundle: string;
  /** The first server, and its replicas. */
  hosts: readonly [string, ...string[]];
  /** Whether Ansible sends all modules over standard input, not only those that the collection has it do so for. */
  pipelining?: boolean;
}

/** The control host of a lab. */
export class Control {
  readonly #machine: Host;
  readonly #lab: string;

  constructor(machine: Host, lab: string) {
    this.#machine = machine;
    this.#lab = lab;
  }

  /** Makes the control host one, and lets it into the hosts of the inventory, as their administrator would. */
  async prepare({ bundle, hosts, pipelining = false }: ControlRequest): Promise<void> {
    await this.#bring(bundle);
    const key = await this.#sh(
      CONTROL,
      `umask 077; mkdir -p /root/.ssh; ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519; cat /root/.ssh/id_ed25519.pub`,
    );
    for (const host of hosts) await this.#letIn(host, key);
    await this.#inventory(hosts, settings(pipelining), {
      ipaserver_domain: DOMAIN,
      ipaserver_realm: DOMAIN.toUpperCase(),
      ipaserver_setup_kra: true,
      ipareplica_setup_kra: true,
      capstan_bundle: `/srv/${basename(bundle)}`,
      capstan_token_group: 'softhsm',
      // A lab's hosts have the clock of the machine that they run on.
      capstan_health_ignore: ['clock-unsynchronised'],
    });
  }

  /** Runs a playbook of the collection to its end, also where it fails. */
  async play(name: string, ...words: readonly string[]): Promise<Played> {
    const command = `cd ${FOLDER}; exec ${ansible('playbook')} "$@"`;
    const argv = ['bash', '-c', command, 'play', `capstan.cluster.${name}`, ...words];
    const { exitCode, stdout } = await this.#run(CONTROL, argv, {
      accept: Array.from({ length: 256 }, (_, code) => code),
      deadline: 1200,
    });
    return { exit: exitCode, output: stdout, recap: recapOf(stdout) };
  }

  async #bring(bundle: string): Promise<void> {
    const root = await labRootPath(this.#lab, CONTROL);
    await mkdir(join(root, ANSIBLE), { recursive: true });
    for (const name of (await readdir(PACKAGES)).filter((one) => TAKEN.test(one))) {
      await cp(join(PACKAGES, name), join(root, ANSIBLE, name), { recursive: true, filter: isSource });
    }
    await cp(join(CHECKOUT, 'playbooks'), join(root, COLLECTION), { recursive: true });
    await cp(bundle, join(root, 'srv', basename(bundle)));
  }

  async #letIn(host: string, key: string): Promise<void> {
    const name = await this.#sh(
      host,
      `useradd --create-home --shell /bin/bash ${USER}
       install -d -m 700 -o ${USER} /home/${USER}/.ssh
       install -m 600 -o ${USER} /dev/stdin /home/${USER}/.ssh/authorized_keys <<'END'\n${key.trim()}\nEND
       echo '${USER} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/${USER}
       echo "$(hostname --fqdn) $(cat /etc/ssh/ssh_host_ed25519_key.pub)"`,
    );
    await this.#sh(CONTROL, `echo '${name.trim()}' >> /root/.ssh/known_hosts`);
  }

  async #inventory([first, ...replicas]: ControlRequest['hosts'], config: string, variables: object) {
    const groups = [
      `[ipaserver]`,
      `${first}.${DOMAIN}`,
      '[ipareplicas]',
      ...replicas.map((one) => `${one}.${DOMAIN}`),
    ];
    await this.#sh(
      CONTROL,
      `mkdir -p ${FOLDER}/group_vars/all; cd ${FOLDER}; umask 077
       cat > hosts <<'END'\n${groups.join('\n')}\nEND
       cat > ansible.cfg <<'END'\n${config}\nEND
       jq --rawfile name ${VALUES_FOLDER}/token-name --rawfile library ${VALUES_FOLDER}/library-path \
         '. + {capstan_token_name: $name | rtrimstr("\\n"), capstan_token_library_path: $library | rtrimstr("\\n")}' \
         > group_vars/all/main.yml <<'END'\n${JSON.stringify(variables)}\nEND
       head -c 20 /dev/urandom | base64 > vault-password
       for pair in ipadm_password:ds-password ipaadmin_password:admin-password capstan_token_password:token-password; do
         echo "\${pair%:*}: !unsafe $(head -c -1 ${VALUES_FOLDER}/\${pair#*:} | jq -Rs .)"
       done | ${ansible('vault')} encrypt --output group_vars/all/vault.yml 2>&1`,
    );
  }

  #run(host: string, argv: readonly string[], options: LabExecOptions = {}) {
    return labExec(this.#machine, this.#lab, host, argv, options);
  }

  async #sh(host: string, script: string): Promise<string> {
    return (await this.#run(host, ['bash', '-ec', script])).stdout;
  }
}

/** One of Ansible's programs: those of the distribution look for its packages first. */
function ansible(name: 'playbook' | 'vault'): string {
  return `env PYTHONPATH=${ANSIBLE} python3 -c 'from ansible.cli.${name} import main; main()'`;
}

/** The ansible.cfg: a host without power is noticed as the guide has it. */
function settings(pipelining: boolean): string {
  return `[defaults]
inventory = hosts
remote_user = ${USER}
collections_path = /opt/collections
vault_password_file = vault-password
log_path = ${LOG}
interpreter_python = /usr/bin/python3
[ssh_connection]
pipelining = ${pipelining}
ssh_args = -o ControlMaster=auto -o ControlPersist=60s -o ServerAliveInterval=15 -o ServerAliveCountMax=4`;
}

/** The compiled form of another Python is of no use. */
function isSource(path: string): boolean {
  return basename(path) !== '__pycache__' && !path.endsWith('.so');
}

function recapOf(output: string): Record<string, Recap> {
  const lines = output.matchAll(
    /^([a-z0-9]+)\.\S+ +: ok=\d+ +changed=(\d+) +unreachable=(\d+) +failed=(\d+)/gm,
  );
  return Object.fromEntries(
    [...lines].map(([, host = '', changed, unreachable, failed]) => [
      host,
      { changed: Number(changed), unreachable: Number(unreachable), failed: Number(failed) },
    ]),
  );
}
