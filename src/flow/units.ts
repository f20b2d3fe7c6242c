/** The services of a server. */
import { instanceUnit as directoryUnit } from '../directory/instance.ts';
import { INSTANCE } from '../dogtag/certificates.ts';
import { instanceUnit as dogtagUnit } from '../dogtag/destroy.ts';
import { FEED_KEEPER, hasFeedKeeper } from './feed-keeper.ts';
import { RENEWAL_TIMER } from './renewal/units.ts';
import { directoryOf, type Site } from './site.ts';

/** A service of a server. */
export interface ServerUnit {
  part: 'directory' | 'ca' | 'certmonger' | 'renewal' | 'feed-keeper';
  unit: string;
  /** The unit that starts it at boot. */
  bootUnit: string;
  /** Units after which it must be started. */
  mustFollow: string[];
}

/** The services that the server on this host has, or should have. */
export async function serverUnits(site: Site, hasCa: boolean): Promise<ServerUnit[]> {
  const directory = directoryUnit(directoryOf(site));
  const plain = (part: ServerUnit['part'], unit: string): ServerUnit => ({
    ...{ part, unit },
    bootUnit: unit,
    mustFollow: [],
  });
  const tomcat: ServerUnit = {
    ...{ part: 'ca', unit: dogtagUnit(INSTANCE) },
    bootUnit: 'pki-tomcatd.target',
    mustFollow: [directory],
  };
  return [
    plain('directory', directory),
    ...(hasCa ? [tomcat] : []),
    plain('certmonger', 'certmonger.service'),
    plain('renewal', RENEWAL_TIMER),
    ...((await hasFeedKeeper()) ? [plain('feed-keeper', FEED_KEEPER)] : []),
  ];
}
