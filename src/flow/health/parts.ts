/** What the readers of a server's parts share: whether a part is there, runs and is deployed. */
import type { DogtagProfile } from '../../dogtag/version.ts';
import type { Facts, UnitFacts } from '../../health/facts.ts';
import type { Host } from '../../host/host.ts';
import { dogtagOf, type Site } from '../site.ts';
import { absent, blocked, reader } from './gather.ts';

/** How the server of this host was installed. */
export type SiteOf = () => Promise<Site>;

interface PartReader<Value, Needs extends keyof Facts> {
  needs: readonly Needs[];
  read(host: Host, known: Pick<Facts, Needs | 'server'>): Promise<Value>;
}

/** A reader of what only a server with a CA has. */
export function withCa<Value, Needs extends keyof Facts = never>(of: PartReader<Value, Needs>) {
  return withPart('hasCa', of);
}

/** A reader of what only a server with a KRA has. */
export function withKra<Value, Needs extends keyof Facts = never>(of: PartReader<Value, Needs>) {
  return withPart('hasKra', of);
}

function withPart<Value, Needs extends keyof Facts>(part: 'hasCa' | 'hasKra', of: PartReader<Value, Needs>) {
  return reader<Value, Needs | 'server' | 'whole'>({
    needs: ['server', 'whole', ...of.needs],
    async read(host, known) {
      if (!known.server[part]) throw absent();
      return of.read(host, known);
    },
  });
}

/** Passes a look over where the service that it asks is down. */
export function requireUp(units: readonly UnitFacts[], part: UnitFacts['part']): void {
  if (!units.find((unit) => unit.part === part)?.active) throw blocked('service-stopped');
}

/** How the Dogtag of this host behaves; passes a look over where that is not known. */
export async function knownDogtag(): Promise<DogtagProfile> {
  return dogtagOf().catch(() => {
    throw blocked('release-unsupported');
  });
}
