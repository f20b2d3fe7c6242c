import { X509Certificate } from 'node:crypto';
import { dirname } from 'node:path';
import { withLocalDirectory } from '../../directory/client.ts';
import { readHsmRecord, writeHsmRecord } from '../../directory/record.ts';
import { withRemoteDirectory } from '../../directory/remote.ts';
import { publishCaCertificate, publishedCaCertificates } from '../../directory/tree.ts';
import { caSession } from '../../dogtag/rest.ts';
import { removeEmptyFolder, removeFile, writeFileAtomically } from '../../host/files.ts';
import type { Host } from '../../host/host.ts';
import { suffixOf } from '../../names/domain.ts';
import { pemCertificates } from '../../names/pem.ts';
import type { Step } from '../../plan/step.ts';
import { CA_FILE, caCertificate, directoryOf, dogtagOf, type JoinedSite, type Site } from '../site.ts';

/** Records `token-name;library-path` where later installs look for it. */
export function hsmRecord(host: Host, site: Site): Step {
  const instance = directoryOf(site);
  const record = { tokenName: site.token.label, libraryPath: site.token.libraryPath };
  return {
    id: 'hsm-record',
    title: `Record the token ${site.token.label} in the directory`,
    done: () =>
      withLocalDirectory(host, instance, async (directory) => {
        const found = await readHsmRecord(directory, instance.suffix);
        return found?.tokenName === record.tokenName && found.libraryPath === record.libraryPath;
      }),
    async apply() {
      const authority = await hostAuthority(host, site);
      await withLocalDirectory(host, instance, (directory) =>
        writeHsmRecord(directory, instance.suffix, record, authority),
      );
    },
    // The entry goes with the instance. Were it deleted on its own, the whole cluster would lose its record.
    undo: async () => {},
  };
}

/** Puts the CA certificate where clients find it: a file for this host, an entry for the domain. */
export function publishedCaCertificate(host: Host, site: Site): Step {
  const instance = directoryOf(site);
  return {
    id: 'ca-certificate',
    title: `Publish the CA certificate in ${CA_FILE} and in the directory`,
    done: async () => false,
    async apply() {
      const pem = await caCertificate(host);
      await writeFileAtomically(CA_FILE, pem, { mode: 0o644 });
      await withLocalDirectory(host, instance, (directory) =>
        publishCaCertificate(
          directory,
          instance.suffix,
          pemCertificates(pem).map((one) => new X509Certificate(one).raw),
        ),
      );
    },
    undo: removeCaFile,
  };
}

/**
 * Keeps the CA certificate of the cluster in a file, for everything on this host; where another authority signed it,
 * those above it follow, as the server that is joined publishes them.
 */
export function trustedCaCertificate(
  host: Host,
  { supplier, domain }: Pick<JoinedSite, 'supplier' | 'domain'>,
  caCertificate: string,
): Step {
  return {
    id: 'ca-certificate',
    title: `Keep the CA certificate in ${CA_FILE}`,
    done: async () => false,
    async apply() {
      const { subject, issuer } = new X509Certificate(caCertificate);
      const server = { hostname: supplier, caCertificate };
      // Above a CA that signed itself there is nobody to ask for.
      const published =
        subject === issuer
          ? []
          : await withRemoteDirectory(host, server, (directory) =>
              publishedCaCertificates(directory, suffixOf(domain)),
            );
      await writeFileAtomically(CA_FILE, chainOf(caCertificate, published), { mode: 0o644 });
    },
    undo: removeCaFile,
  };
}

/** A CA certificate (PEM) and those above it among others (DER), each the issuer of the one before, PEM. */
export function chainOf(caCertificate: string, others: readonly Buffer[]): string {
  const pool = others.map((der) => new X509Certificate(der));
  const chain = [new X509Certificate(caCertificate)];
  for (;;) {
    const last = chain.at(-1);
    const next = pool.find((one) => !chain.some(({ raw }) => raw.equals(one.raw)) && isIssued(last, one));
    if (!next) return chain.map(String).join('');
    chain.push(next);
  }
}

function isIssued(certificate: X509Certificate | undefined, issuer: X509Certificate): boolean {
  if (!certificate || certificate.subject === certificate.issuer) return false;
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

async function removeCaFile(): Promise<void> {
  await removeFile(CA_FILE);
  await removeEmptyFolder(dirname(CA_FILE));
}

async function hostAuthority(host: Host, site: Site) {
  const { restPath } = await dogtagOf();
  const session = caSession(host, {
    hostname: site.hostname,
    caCertificate: await caCertificate(host),
    restPath,
  });
  try {
    const found = (await session.get('/authorities/host-authority')) as {
      id: string;
      dn: string;
      issuerDN: string;
    };
    return { id: found.id, subjectDn: found.dn, issuerDn: found.issuerDN };
  } finally {
    session.close();
  }
}
