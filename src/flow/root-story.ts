/** What every transcript of an offline root begins with. */
import { hostname, userInfo } from 'node:os';
import { formatPkcs11Uri } from '../names/pkcs11-uri.ts';
import type { RootConfig } from '../root/config.ts';
import { openTranscript, type Transcript } from '../root/transcript.ts';
import { version } from '../version.ts';
import type { RootToken } from './root-token.ts';

/** Begins the transcript of a run: who, where, with what. @param file the ceremony file */
export function beginTranscript(
  title: string,
  config: RootConfig,
  file: string,
  { module, facts }: RootToken,
): Transcript {
  const { description, libraryVersion, manufacturer } = module.facts;
  return openTranscript(title, [
    ['Begun', new Date().toISOString()],
    ['User', personName()],
    ['Host', hostname()],
    ['Tool', `capstan ${version()}`],
    ['Ceremony file', file],
    ['Its SHA-256', config.digest],
    ['Key URI', formatPkcs11Uri(config.uri)],
    ['Library', `${config.libraryPath}: ${description} ${libraryVersion} of ${manufacturer}`],
    ['Token', `"${facts.label}", serial ${facts.serial}, ${facts.manufacturer} ${facts.model}`],
    ['Firmware', facts.firmware],
  ]);
}

/** Who runs this: the user, and who they were before sudo(8). */
function personName(): string {
  const before = process.env.SUDO_USER;
  return before && /^[\w.-]+$/.test(before) ? `${userName()} (sudo by ${before})` : userName();
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A user without an entry in the user database.
    return `uid ${process.getuid?.()}`;
  }
}

/** The fingerprint of a certificate or a request as people compare it. */
export function shownFingerprint(hex: string): string {
  return `sha256:${hex}`;
}
