import { X509Certificate } from 'node:crypto';
import { EARLY_DAYS, endsEarly, externalLifetimes } from '../../names/external-chain.ts';
import { type Fault, type HealthCheck, judgement } from '../check.ts';
import type { Facts } from '../facts.ts';

/** Days before its expiry from which on a certificate is a fault: certmonger renews 28 days before. */
const EXPIRY_DAYS = 21;
const DAY = 86_400_000;

/** The certificates: valid, the same wherever they are kept, known to the CA. */
export const CERTIFICATE_CHECKS: readonly HealthCheck[] = [
  {
    code: 'ca-file-missing',
    area: 'certificate',
    severity: 'CRITICAL',
    holds: 'The certificate of the CA is in /etc/capstan/ca.crt.',
    remedy: 'Copy it from another server, over a way that you trust.',
    gate: 'caFile',
  },
  judgement({
    code: 'certificate-expired',
    area: 'certificate',
    severity: 'CRITICAL',
    holds: 'No certificate of this server has expired.',
    remedy: '"capstan repair" gets the server back; "getcert list" tells why it was not renewed.',
    needs: ['lifetimes', 'clock'],
    look: ({ lifetimes, clock }) =>
      lifetimes
        .filter(({ expires }) => expires < clock.now)
        .map(({ name, expires }) => ({ key: name, message: `${name} expired at ${expires.toISOString()}.` })),
  }),
  judgement({
    code: 'certificate-expiring',
    area: 'certificate',
    severity: 'WARNING',
    holds: `Each certificate of this server is good for ${EXPIRY_DAYS} days or more.`,
    remedy:
      'See "capstan status" and "getcert list" for why it was not renewed: certmonger does that 28 days before.',
    needs: ['lifetimes', 'clock'],
    look: ({ lifetimes, clock }) =>
      lifetimes
        .filter(({ expires }) => expires >= clock.now && daysLeft(expires, clock.now) < EXPIRY_DAYS)
        .map(({ name, expires }) => ({
          key: name,
          message: `${name} expires in ${daysLeft(expires, clock.now)} days, at ${expires.toISOString()}.`,
        })),
  }),
  judgement({
    code: 'external-ca-expiring',
    area: 'certificate',
    severity: 'WARNING',
    holds: `Each certificate from another authority, the CA's and those above it, is good for ${EARLY_DAYS} days or more.`,
    remedy:
      'Nothing renews it by itself: make a request with "capstan ca-renew --external-ca", or go over to a CA that signs itself with "capstan ca-renew --self-signed".',
    needs: ['caFile', 'clock'],
    look: ({ caFile, clock }) =>
      externalLifetimes(caFile)
        .filter((one) => endsEarly(one, clock.now))
        .map(({ subject, issuer, to }) => ({
          key: subject,
          message: `The certificate of ${subject} ends at ${to.toISOString()}, and only ${issuer} can renew it.`,
        })),
  }),
  judgement({
    code: 'certificate-missing',
    area: 'certificate',
    severity: 'ERROR',
    holds: 'Dogtag is configured with each system certificate.',
    remedy: 'Restore CS.cfg: Dogtag keeps older ones beside it, in the folder "archives".',
    needs: ['server', 'configuration'],
    look: ({ server, configuration }) =>
      server.certificates
        .filter(({ nickname }) => !configuration.certificates.some((one) => one.nickname === nickname))
        .map(({ nickname }) => ({ key: nickname, message: `CS.cfg has no certificate "${nickname}".` })),
  }),
  judgement({
    code: 'certificate-unverified',
    area: 'certificate',
    severity: 'CRITICAL',
    holds: 'Each system certificate in CS.cfg was issued by the CA.',
    remedy: 'Restore CS.cfg: Dogtag keeps older ones beside it, in the folder "archives".',
    needs: ['configuration', 'caFile'],
    look: ({ configuration, caFile }) => {
      const ca = new X509Certificate(caFile);
      return configuration.certificates.flatMap(({ nickname, certificate }): Fault[] =>
        isIssuedBy(ca, certificate)
          ? []
          : [
              {
                key: nickname,
                message: `"${nickname}" in CS.cfg is no certificate of the CA in /etc/capstan/ca.crt.`,
              },
            ],
      );
    },
  }),
  judgement({
    code: 'certificate-differs-on-token',
    area: 'certificate',
    severity: 'ERROR',
    holds: 'The token holds the certificates that CS.cfg has.',
    remedy:
      'Import the newer one where the older one is: certutil for a token, CS.cfg while Dogtag is stopped.',
    needs: ['server', 'configuration', 'caFile', 'hsm'],
    look: ({ server, configuration, caFile, hsm }) =>
      differing(
        server.certificates.filter(({ token }) => token === 'hsm'),
        { configuration, caFile },
        (nickname) => hsm.certificates.filter(({ label }) => label === nickname).map(({ der }) => der),
      ),
  }),
  judgement({
    code: 'certificate-differs-in-database',
    area: 'certificate',
    severity: 'ERROR',
    holds: "Dogtag's NSS database holds the certificates that CS.cfg has, as far as it needs them.",
    remedy:
      'Import the newer one where the older one is: certutil for the database, CS.cfg while Dogtag is stopped.',
    needs: ['configuration', 'caFile', 'database'],
    look: ({ configuration, caFile, database }) =>
      differing(
        Object.keys(database.certificates).map((nickname) => ({ nickname })),
        { configuration, caFile },
        (nickname) => [database.certificates[nickname] ?? ''],
      ),
  }),
  judgement({
    code: 'certificate-revoked',
    area: 'certificate',
    severity: 'CRITICAL',
    holds: 'No system certificate is revoked.',
    remedy: 'If it was only put on hold, release it as an agent; otherwise it has to be renewed.',
    needs: ['configuration', 'caData'],
    look: ({ configuration, caData }) =>
      configuration.certificates
        .filter(({ certificate }) => caData.revoked.includes(serialOf(certificate)))
        .map(({ nickname, certificate }) => ({
          key: nickname,
          message: `"${nickname}" (serial number ${serialOf(certificate)}) is revoked.`,
        })),
  }),
  judgement({
    code: 'ca-certificate-differs',
    area: 'certificate',
    severity: 'ERROR',
    holds: 'The directory publishes the CA certificate that this host trusts.',
    remedy: 'Find out which is right; the entry is cn=CAcert,cn=ipa,cn=etc under the suffix.',
    needs: ['caFile', 'directory'],
    look: ({ caFile, directory }) =>
      directory.publishedCas.includes(derOf(new X509Certificate(caFile)))
        ? []
        : [
            {
              message:
                'The certificate in /etc/capstan/ca.crt is none of those that the directory publishes.',
            },
          ],
  }),
  judgement({
    code: 'authority-differs',
    area: 'certificate',
    severity: 'WARNING',
    holds: "The CA's own entry names its certificate.",
    remedy: 'Write the serial number into authoritySerial of the entry below ou=authorities,ou=ca,o=ipaca.',
    needs: ['caFile', 'caData'],
    look: ({ caFile, caData: { authoritySerial } }) => {
      const serial = BigInt(`0x${new X509Certificate(caFile).serialNumber}`).toString();
      if (authoritySerial === undefined || authoritySerial === serial) return [];
      return [
        {
          message: `The entry of the CA names the serial number ${authoritySerial}; its certificate has ${serial}.`,
        },
      ];
    },
  }),
  judgement({
    code: 'subsystem-user-differs',
    area: 'certificate',
    severity: 'ERROR',
    holds: 'The users that stand for the subsystem in the directory have its certificate.',
    remedy:
      'Give userCertificate and description (2;SERIAL;ISSUER;SUBJECT) of the user the values of the certificate.',
    needs: ['configuration', 'caData'],
    look: subsystemUsers,
  }),
  {
    code: 'agent-missing',
    area: 'certificate',
    severity: 'ERROR',
    holds: "The agent's certificate and key are in /var/lib/capstan.",
    remedy: 'Put ra-agent.pem and ra-agent.key back; /root/ca-agent.p12 holds the same on a first server.',
    gate: 'agent',
  },
  judgement({
    code: 'agent-unknown',
    area: 'certificate',
    severity: 'ERROR',
    holds: 'The CA knows the agent of this host by its certificate, and lets it approve requests.',
    remedy:
      'Put the certificate into the entry of the user again, and the user into the group "Certificate Manager Agents".',
    needs: ['agent', 'caData'],
    look: ({ agent, caData }) => {
      const { serialNumber, raw, subject } = new X509Certificate(agent);
      const name = subject.replaceAll('\n', ', ');
      const serial = BigInt(`0x${serialNumber}`).toString();
      const user = caData.users.find((one) =>
        one.descriptions.some((text) => text.startsWith(`2;${serial};`)),
      );
      if (!user?.certificates.includes(raw.toString('base64')))
        return [{ message: `No user of the CA has the agent certificate of this host (${name}).` }];
      return caData.agents.includes(user.dn.toLowerCase())
        ? []
        : [
            {
              message: `The user ${user.uid}, whose certificate the agent of this host has, may not approve requests.`,
            },
          ];
    },
  }),
];

/** Which of some certificates are not the ones that CS.cfg has. One that the CA never issued is another check's fault. */
function differing(
  wanted: readonly { nickname: string }[],
  { configuration, caFile }: Pick<Facts, 'configuration' | 'caFile'>,
  there: (nickname: string) => string[],
): Fault[] {
  const ca = new X509Certificate(caFile);
  return wanted.flatMap(({ nickname }): Fault[] => {
    const configured = configuration.certificates.find((one) => one.nickname === nickname);
    if (!configured || !isIssuedBy(ca, configured.certificate)) return [];
    if (there(nickname).includes(configured.certificate)) return [];
    const found = there(nickname).length === 0 ? 'is not there' : 'is another one there';
    return [{ key: nickname, message: `The certificate "${nickname}" of CS.cfg ${found}.` }];
  });
}

/** The user by which Dogtag's own connections come, and the one of a first CA. */
const SUBSYSTEM_USER = /^(?:pkidbuser|CA-.+-\d+)$/;

function subsystemUsers({ configuration, caData }: Pick<Facts, 'configuration' | 'caData'>): Fault[] {
  const own = configuration.certificates.find(({ nickname }) => nickname.startsWith('subsystemCert '));
  const users = caData.users.filter(({ uid }) => SUBSYSTEM_USER.test(uid));
  if (!own) return [];
  if (users.length === 0)
    return [{ message: 'There is no user in the directory that stands for the subsystem.' }];
  const start = `2;${serialOf(own.certificate)};`;
  return users
    .filter(
      ({ certificates, descriptions }) =>
        !certificates.includes(own.certificate) || !descriptions.some((text) => text.startsWith(start)),
    )
    .map(({ uid }) => ({
      key: uid,
      message: `The user ${uid} in the directory has another certificate than the subsystem.`,
    }));
}

function certificateIn(der: string): X509Certificate {
  return new X509Certificate(Buffer.from(der, 'base64'));
}

/** Whether the CA issued a certificate (DER in base64), or it is its own; what is no certificate was not. */
export function isIssuedBy(ca: X509Certificate, der: string): boolean {
  try {
    const certificate = certificateIn(der);
    // Another authority may have issued that.
    if (certificate.raw.equals(ca.raw)) return true;
    return certificate.checkIssued(ca) && certificate.verify(ca.publicKey);
  } catch {
    return false;
  }
}

function serialOf(der: string): string {
  try {
    return BigInt(`0x${certificateIn(der).serialNumber}`).toString();
  } catch {
    return 'unreadable';
  }
}

function derOf(certificate: X509Certificate): string {
  return certificate.raw.toString('base64');
}

function daysLeft(expires: Date, now: Date): number {
  return Math.floor((expires.getTime() - now.getTime()) / DAY);
}
