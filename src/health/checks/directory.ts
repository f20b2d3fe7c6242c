import { formatHsmRecord } from '../../directory/record.ts';
import { parseDn, sameDn } from '../../names/dn.ts';
import { type HealthCheck, judgement } from '../check.ts';
import type { DirectoryFacts, ServerFacts } from '../facts.ts';

/** The directory of this host, and what it says of the CA and its token. */
export const DIRECTORY_CHECKS: readonly HealthCheck[] = [
  {
    code: 'directory-unreachable',
    area: 'directory',
    severity: 'CRITICAL',
    holds: 'The directory answers root over its socket.',
    remedy: '"capstan restart"; the error log is in /var/log/dirsrv.',
    gate: 'directory',
  },
  {
    code: 'directory-certificate',
    area: 'directory',
    severity: 'ERROR',
    holds: 'The directory serves LDAPS with a certificate of the CA for its name.',
    remedy: 'The message says what is wrong with it.',
    gate: 'ldaps',
  },
  judgement({
    code: 'usn-plugin-off',
    area: 'directory',
    severity: 'ERROR',
    holds: 'The USN plug-in is on, without which the CA does not find its profiles after its next start.',
    remedy: 'Turn it on with "dsconf INSTANCE plugin usn enable", and restart the directory and then Dogtag.',
    needs: ['directory'],
    look: ({ directory }) =>
      directory.usnPlugin ? [] : [{ message: 'The USN plug-in of the directory is turned off.' }],
  }),
  judgement({
    code: 'identity-unknown',
    area: 'directory',
    severity: 'ERROR',
    holds:
      'The other servers know this one by the certificate of its directory, and let it manage replication.',
    remedy: 'Install the server anew; the entries are below cn=sysaccounts,cn=etc.',
    needs: ['server', 'directory'],
    look: ({ server, directory }) => {
      const message = identityProblem(server, directory);
      return message === undefined ? [] : [{ message }];
    },
  }),
  judgement({
    code: 'hsm-record-missing',
    area: 'directory',
    severity: 'ERROR',
    holds: 'The directory has an HSM record, which later installations read.',
    remedy:
      'Write "token-name;/path/of/library" into ipaCaHSMConfiguration of cn=ipa,cn=cas,cn=ca under the suffix.',
    needs: ['directory'],
    look: ({ directory: { record, recordProblem } }) =>
      record || recordProblem !== undefined ? [] : [{ message: 'The directory has no HSM record.' }],
  }),
  judgement({
    code: 'hsm-record-malformed',
    area: 'directory',
    severity: 'ERROR',
    holds: 'The HSM record can be read.',
    remedy:
      'Correct ipaCaHSMConfiguration of cn=ipa,cn=cas,cn=ca under the suffix: "token-name;/path/of/library".',
    needs: ['directory'],
    look: ({ directory: { recordProblem } }) =>
      recordProblem === undefined ? [] : [{ message: recordProblem }],
  }),
  judgement({
    code: 'hsm-record-differs',
    area: 'directory',
    severity: 'ERROR',
    holds:
      'The HSM record names the token and library of this server; a server that joined may have a library of its own.',
    remedy: 'Find out which is right; correct ipaCaHSMConfiguration of cn=ipa,cn=cas,cn=ca under the suffix.',
    needs: ['server', 'directory'],
    look: ({ server: { token, joined }, directory: { record } }) => {
      if (!record) return [];
      const { tokenName, libraryPath } = record;
      if (tokenName === token.label && (joined || libraryPath === token.libraryPath)) return [];
      const used = formatHsmRecord({ tokenName: token.label, libraryPath: token.libraryPath });
      return [
        { message: `The HSM record is ${formatHsmRecord(record)}; this server was installed with ${used}.` },
      ];
    },
  }),
];

/** Why the other servers do not let this one look at their replication; undefined where they do. */
export function identityProblem(
  { hostname, subject }: Pick<ServerFacts, 'hostname' | 'subject'>,
  { identity, isManager }: Pick<DirectoryFacts, 'identity' | 'isManager'>,
): string | undefined {
  if (identity === undefined) return `The directory does not know the server ${hostname}.`;
  if (!sameDn(parseDn(identity), parseDn(subject)))
    return `The directory knows ${hostname} as ${identity}; its certificate is for ${subject}.`;
  return isManager ? undefined : `${hostname} is no member of the group that manages replication.`;
}
