/** That certmonger has the PINs that Dogtag has: nobody tells it when the PIN of a token was changed. */
import { type KeptPin, keptPins, replacePins } from '../../certmonger/pins.ts';
import { INSTANCE } from '../../dogtag/certificates.ts';
import { instancePins, pinNames } from '../../dogtag/nssdb.ts';
import type { Host } from '../../host/host.ts';
import { requireHsm } from '../recovery.ts';
import type { Site } from '../site.ts';
import { systemCertificates } from './cluster.ts';

/**
 * The tracking requests for which certmonger keeps another PIN than Dogtag's password.conf, with that of Dogtag. Of a
 * token that Dogtag keeps no PIN of there is none to tell.
 */
export async function outdatedPins({ token: { label } }: Pick<Site, 'token'>): Promise<KeptPin[]> {
  const certificates = systemCertificates();
  const kept = (await keptPins()).filter(({ id }) => certificates.some((one) => one.id === id));
  if (kept.length === 0) return [];
  const names = await pinNames(INSTANCE).catch((): string[] => []);
  if (names.length === 0) return [];
  const pins = await instancePins(INSTANCE);
  return kept.flatMap(({ id, pin }) => {
    const onHsm = certificates.find((one) => one.id === id)?.token === 'hsm';
    if (!names.includes(onHsm ? `hardware-${label}` : 'internal')) return [];
    const wanted = pins.pin(onHsm ? label : undefined);
    return wanted.reveal() === pin.reveal() ? [] : [{ id, pin: wanted }];
  });
}

/**
 * Has certmonger take the PINs that Dogtag has, where it has others, after the token has let Dogtag in with its own.
 * @throws CapstanError those of {@link requireHsm}, `command-failed`
 */
export async function refreshPins(host: Host, site: Site, line: (text: string) => void): Promise<void> {
  const outdated = await outdatedPins(site);
  if (outdated.length === 0) return;
  await requireHsm(host, site, line);
  line('Having certmonger take the PIN that Dogtag has');
  await replacePins(host, outdated);
}
