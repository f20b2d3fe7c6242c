import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import {
  installDirectoryCertificate,
  requestDirectoryCertificate,
  servesDirectoryCertificate,
  verifyDirectoryCertificate,
} from '../../directory/certificate.ts';
import { mapCertificates } from '../../directory/identity.ts';
import { agentCredentials } from '../../dogtag/agent.ts';
import { enroll, SERVER_PROFILE } from '../../dogtag/enroll.ts';
import { enrollMember, MEMBER_SERVER_PROFILE } from '../../dogtag/membership.ts';
import { caSession } from '../../dogtag/rest.ts';
import { failure } from '../../errors.ts';
import type { Host } from '../../host/host.ts';
import type { Step } from '../../plan/step.ts';
import type { Joining } from '../joining.ts';
import {
  CA_FILE,
  caCertificate,
  directoryOf,
  directorySubject,
  dogtagOf,
  type JoinedSite,
  type Site,
} from '../site.ts';

/**
 * Has the new CA issue the directory's TLS certificate over REST. It is the proof that the CA signs, too: the
 * certificate is verified against the CA before the directory serves it, and by a TLS client afterwards.
 */
export function directoryCertificate(host: Host, site: Site): Step {
  return certificateStep(host, site, {
    caCertificate: () => caCertificate(host),
    issue: (ca, request) => issue(host, site, ca, request),
  });
}

/** Has the CA of the server that is joined issue the directory's TLS certificate: this host's identity from then on. */
export function memberDirectoryCertificate(host: Host, site: JoinedSite, joining: Joining): Step {
  return certificateStep(host, site, {
    caCertificate: () => readFile(CA_FILE, 'utf8'),
    async issue(ca, request) {
      const membership = await joining.membership();
      const authority = { hostname: site.supplier, caCertificate: ca };
      return enrollMember(host, authority, membership, { profile: MEMBER_SERVER_PROFILE, request });
    },
  });
}

/** Where the certificate comes from. */
interface Issuer {
  /** PEM. */
  caCertificate(): Promise<string>;
  /** @returns the certificate for a PKCS#10 request, PEM both */
  issue(caCertificate: string, request: string): Promise<string>;
}

function certificateStep(host: Host, site: Site, issuer: Issuer): Step {
  const instance = directoryOf(site);
  return {
    id: 'directory-certificate',
    title: 'Have the CA issue the TLS certificate of the directory',
    done: async () =>
      (await servesDirectoryCertificate(host, instance)) &&
      verifyDirectoryCertificate(host, instance, await issuer.caCertificate()).then(
        () => true,
        () => false,
      ),
    async apply(report) {
      const ca = await issuer.caCertificate();
      const request = await requestDirectoryCertificate(host, instance, directorySubject(site));
      const certificate = await issuer.issue(ca, request);
      const { serialNumber } = verified(certificate, ca);
      report.line(`Certificate ${serialNumber} issued and verified`);
      await mapCertificates(instance, site.caSubject);
      await installDirectoryCertificate(host, instance, certificate, ca);
      await verifyDirectoryCertificate(host, instance, ca);
      await report.remember({ serialNumber });
    },
    // Key and certificate lie in the instance's own database and go with it.
    undo: async () => {},
  };
}

async function issue(host: Host, site: Site, ca: string, request: string): Promise<string> {
  const { restPath } = await dogtagOf();
  const agent = await agentCredentials();
  const session = caSession(host, { hostname: site.hostname, caCertificate: ca, restPath, agent });
  try {
    return await enroll(session, SERVER_PROFILE, request);
  } finally {
    session.close();
  }
}

function verified(certificate: string, ca: string): X509Certificate {
  const issued = new X509Certificate(certificate);
  const issuer = new X509Certificate(ca);
  if (issued.checkIssued(issuer) && issued.verify(issuer.publicKey)) return issued;
  throw failure(
    'signature-unverified',
    `The certificate ${issued.serialNumber} that the CA issued does not verify with the CA's own certificate.`,
    'Do not use this certificate authority.',
  );
}
