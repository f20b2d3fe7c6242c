import type { Command } from 'commander';

/** A command of the program, known by its line in the help before its module is loaded. */
export interface CommandEntry {
  name: string;
  /** What it does, in one line of `capstan --help`. */
  summary: string;
  /** Loads the module, which builds the command with its options and its action. */
  load(): Promise<{ command(): Command }>;
  /** Whether the help leaves it out: a service runs it, no person. */
  hidden?: boolean;
}

/** Every command, in the order of the help. No module is loaded until its command is called. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'server-install',
    summary: 'build the first server: a directory, and a CA whose keys are made on the token',
    load: () => import('./commands/server-install.ts'),
  },
  {
    name: 'replica-install',
    summary: 'make this host another server of a cluster, with a clone of the CA on the same token',
    load: () => import('./commands/replica-install.ts'),
  },
  {
    name: 'replica-prepare',
    summary: 'let a host join the cluster: draw a join secret for it, and show what to type there',
    load: () => import('./commands/replica-prepare.ts'),
  },
  {
    name: 'ca-add',
    summary: 'give a server that has no CA a clone of it',
    load: () => import('./commands/ca-add.ts'),
  },
  {
    name: 'kra-add',
    summary: 'give a server with a CA a KRA, which archives private keys and recovers them',
    load: () => import('./commands/kra-add.ts'),
  },
  {
    name: 'status',
    summary: 'show how the server on this host is, down to a signature made on the HSM',
    load: () => import('./commands/status.ts'),
  },
  {
    name: 'health',
    summary: 'look for faults, each with a code and a remedy; for people and for monitoring',
    load: () => import('./commands/health.ts'),
  },
  {
    name: 'heartbeat',
    summary: 'have the health looked at every few minutes, as metrics for Prometheus',
    load: () => import('./commands/heartbeat.ts'),
  },
  {
    name: 'topology',
    summary: 'show and change which servers send their changes to which others',
    load: () => import('./commands/topology.ts'),
  },
  {
    name: 'role',
    summary: 'show and move what one server does for all: renewal, and the CRLs',
    load: () => import('./commands/role.ts'),
  },
  {
    name: 'restart',
    summary: 'bring a stopped server back, or one whose CA lost its HSM',
    load: () => import('./commands/restart.ts'),
  },
  {
    name: 'renew',
    summary: 'renew certificates now, with their keys, and put them in place',
    load: () => import('./commands/renew.ts'),
  },
  {
    name: 'ca-renew',
    summary: 'give the CA another certificate for its key: from another authority, or signed by itself',
    load: () => import('./commands/ca-renew.ts'),
  },
  {
    name: 'repair',
    summary: 'get a server back whose certificates have expired, with the keys that it has',
    load: () => import('./commands/repair.ts'),
  },
  {
    name: 'config-show',
    summary: 'show the HSM record of the domain',
    load: () => import('./commands/config-show.ts'),
  },
  {
    name: 'support-bundle',
    summary: 'collect logs, versions, configuration and the journal into one archive, without secrets',
    load: () => import('./commands/support-bundle.ts'),
  },
  {
    name: 'token',
    summary: 'move a token of SoftHSM to another host as one encrypted file, for rehearsals',
    load: () => import('./commands/token.ts'),
  },
  {
    name: 'root',
    summary: 'make and use an offline root whose key is on an HSM of its own',
    load: () => import('./commands/root.ts'),
  },
  {
    name: 'feed-keeper',
    summary: 'keep replication going where 389-ds stops to send after a large change (a service)',
    load: () => import('./commands/feed-keeper.ts'),
    hidden: true,
  },
  {
    name: 'renewal-helper',
    summary: 'renew a certificate for certmonger (certmonger runs it)',
    load: () => import('./commands/renewal-helper.ts'),
    hidden: true,
  },
  {
    name: 'renewal-keeper',
    summary: 'put renewed certificates in place (a service)',
    load: () => import('./commands/renewal-keeper.ts'),
    hidden: true,
  },
  {
    name: 'uninstall',
    summary: 'remove the server from this host; the keys stay on the token unless asked otherwise',
    load: () => import('./commands/uninstall.ts'),
  },
  {
    name: 'lab',
    summary: 'boot and drive disposable machines with a shared token to rehearse in',
    load: () => import('./commands/lab.ts'),
  },
];
