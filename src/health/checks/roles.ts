import type { RoleEntry, RoleName, ServerEntry } from '../../directory/masters.ts';
import { type Fault, type HealthCheck, judgement } from '../check.ts';
import type { ServerFacts } from '../facts.ts';

const ROLES: readonly RoleName[] = ['CA', 'KRA'];

/** What is recorded of who does what, against what this server has. */
export const ROLE_CHECKS: readonly HealthCheck[] = [
  judgement({
    code: 'server-unrecorded',
    area: 'role',
    severity: 'ERROR',
    holds: 'This server is recorded in the directory.',
    remedy:
      'If the cluster has forgotten this server, uninstall it here ("capstan uninstall --force") and install it again.',
    needs: ['server', 'directory'],
    look: ({ server, directory }) =>
      recordOf(server, directory.servers)
        ? []
        : [{ message: `${server.hostname} is not recorded as a server of the domain.` }],
  }),
  judgement({
    code: 'role-differs',
    area: 'role',
    severity: 'ERROR',
    holds: 'This server has the CA and the KRA that it is recorded with, and no other.',
    remedy:
      '"capstan ca-add" gives it a CA, "capstan kra-add" a KRA; a record without them is removed with "capstan uninstall".',
    needs: ['server', 'directory'],
    look: ({ server, directory }) => {
      const record = recordOf(server, directory.servers);
      if (!record) return [];
      return ROLES.flatMap((role) => {
        const isThere = role === 'CA' ? server.hasCa : server.hasKra;
        if ((roleOf(record, role)?.enabled === true) === isThere) return [];
        const message = isThere
          ? `${server.hostname} has a ${role}, and is not recorded with one that is enabled.`
          : `${server.hostname} is recorded with a ${role}, and has none.`;
        return [{ message }];
      });
    },
  }),
  duty('renewal-master', 'renewalMaster', 'One server renews the certificates that all share.'),
  duty('crl-generator', 'crlGenerator', 'One server generates the CRLs.'),
  judgement({
    code: 'crl-generation-differs',
    area: 'role',
    severity: 'ERROR',
    holds: 'The CA of this server generates CRLs if, and only if, it is recorded for that.',
    remedy: 'Run the "capstan role move crl" that the message names.',
    needs: ['crlProblem'],
    look: ({ crlProblem }) => (crlProblem ? [{ message: crlProblem.message, remedy: crlProblem.next }] : []),
  }),
  judgement({
    code: 'token-serial-differs',
    area: 'role',
    severity: 'WARNING',
    holds: 'The token has the serial number that is recorded with the CA of this server.',
    remedy:
      'Make sure that it is the token of the cluster. After a move to another appliance write "tokenSerial NUMBER" into ipaConfigString of the CA of this server.',
    needs: ['server', 'directory', 'hsm'],
    look: ({ server, directory, hsm }) => {
      const recorded = caOf(recordOf(server, directory.servers))?.tokenSerial;
      const { serial, label } = hsm.token;
      if (recorded === undefined || recorded === serial) return [];
      return [{ message: `The token ${label} has the serial number ${serial}; recorded is ${recorded}.` }];
    },
  }),
  judgement({
    code: 'domain-entry-missing',
    area: 'role',
    severity: 'ERROR',
    holds: 'The security domain has the CA and the KRA of each server that is recorded with one.',
    remedy:
      'Restore the entry below cn=CAList,ou=Security Domain,o=ipaca, or cn=KRAList, as that of another server.',
    needs: ['directory', 'caData'],
    look: ({ directory, caData }) =>
      ROLES.flatMap((role) =>
        directory.servers
          .filter((one) => roleOf(one, role) && !caData.domain[role].includes(one.hostname.toLowerCase()))
          .map(({ hostname }) => ({
            key: hostname,
            message: `The security domain does not have the ${role} of ${hostname}.`,
          })),
      ),
  }),
  judgement({
    code: 'domain-entry-stale',
    area: 'role',
    severity: 'WARNING',
    holds: 'The security domain has no CA and no KRA of a server that is gone.',
    remedy: '"capstan topology forget SERVER" removes it.',
    needs: ['server', 'directory', 'caData'],
    look: ({ server, directory, caData }) =>
      ROLES.flatMap((role) => {
        const recorded = directory.servers.filter((one) => roleOf(one, role));
        const known = [server, ...recorded].map(({ hostname }) => hostname.toLowerCase());
        return caData.domain[role]
          .filter((hostname) => !known.includes(hostname))
          .map((hostname) => ({
            key: hostname,
            message: `The security domain has a ${role} of ${hostname}, which is not recorded.`,
          }));
      }),
  }),
];

function duty(code: string, mark: 'renewalMaster' | 'crlGenerator', holds: string): HealthCheck {
  return judgement({
    ...{ code, area: 'role', severity: 'ERROR', holds },
    remedy: `Give that to one server: capstan role move ${code === 'renewal-master' ? code : 'crl'} SERVER`,
    needs: ['directory'],
    look: ({ directory: { servers } }): Fault[] => {
      const holders = servers.filter((server) => caOf(server)?.[mark]).map(({ hostname }) => hostname);
      if (holders.length === 1 || !servers.some(caOf)) return [];
      const who = holders.length === 0 ? 'no server has' : `several servers have (${holders.join(', ')})`;
      return [{ message: `By the record ${who} the role ${code}.` }];
    },
  });
}

function recordOf({ hostname }: ServerFacts, servers: readonly ServerEntry[]): ServerEntry | undefined {
  return servers.find((server) => server.hostname.toLowerCase() === hostname.toLowerCase());
}

function caOf(server: ServerEntry | undefined): RoleEntry | undefined {
  return roleOf(server, 'CA');
}

function roleOf(server: ServerEntry | undefined, role: RoleName): RoleEntry | undefined {
  return server?.roles.find(({ name }) => name === role);
}
