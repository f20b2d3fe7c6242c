import { X509Certificate } from 'node:crypto';
import {
  installDirectoryCertificate,
  requestDirectoryCertificate,
  servesDirectoryCertificate,
  verifyDirectoryCertificate,
} from '../../directory/certificate.ts';
import { mapCertificates } from '../../directory/identity.ts';
import { agentCredentials } from '../../dogtag/agent.ts';
import { enroll, SERVER_PROFILE } from '../../dogtag/enroll.ts';
import { caSession } from '../../dogtag/rest.ts';
import { failure } from '../../errors.ts';
import type { Host } from '../../host/host.ts';
import type { Step } from '../../plan/step.ts';
import { caCertificate, directoryOf, directorySubject, dogtagOf, type Site } from '../site.ts';

/**
 * Has the new CA issue the directory's TLS certificate over REST. It is the proof that the CA signs, too: the
 * certificate is verified against the CA before the directory serves it, and by a TLS client afterwards.
 */
export function directoryCertificate(host: Host, site: Site): Step {
  const instance = directoryOf(site);
  return {
    id: 'directory-certificate',
    title: 'Have the CA issue the TLS certificate of the directory',
    done: async () =>
      (await servesDirectoryCertificate(host, instance)) &&
      verifyDirectoryCertificate(host, instance, await caCertificate(host)).then(
        () => true,
        () => false,
      ),
    async apply(report) {
      const ca = await caCertificate(host);
      const request = await requestDirectoryCertificate(host, instance, directorySubject(site));
      const certificate = await issue(host, site, ca, request);
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
