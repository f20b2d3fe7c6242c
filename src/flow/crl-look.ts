import type { Directory } from '../directory/client.ts';
import { CRL_DN, type CrlFacts, readCrl } from '../dogtag/crl.ts';
import type { Host } from '../host/host.ts';
import { CA_FILE } from './site.ts';

/**
 * The last CRL, which whoever generates it keeps in the directory; undefined where there is none.
 * @throws CapstanError `crl-unverified`, `directory-refused`
 */
export async function lastCrl(host: Host, directory: Directory): Promise<CrlFacts | undefined> {
  const [entry] = await directory.search(CRL_DN, {
    scope: 'base',
    attributes: ['certificateRevocationList'],
    explicitBufferAttributes: ['certificateRevocationList'],
  });
  const [der] = entry?.bytes('certificateRevocationList') ?? [];
  return der && readCrl(host, der, CA_FILE);
}
