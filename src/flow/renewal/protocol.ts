/** What certmonger and its helper say to each other (certmonger's `doc/helpers.txt`). */
import { X509Certificate } from 'node:crypto';
import { refusal } from '../../errors.ts';

/** What certmonger is answered. */
export interface HelperAnswer {
  /** One of {@link ANSWERS}. */
  code: number;
  output: string;
}

/** The exit codes of a helper, of those that Capstan uses. */
export const ANSWERS = {
  issued: 0,
  rejected: 2,
  unreachable: 3,
  unconfigured: 4,
  /** Output: seconds until certmonger is to ask again, and a cookie that it brings then. */
  later: 5,
  unsupported: 6,
} as const;

/** The environment that certmonger gives its helper. */
export type HelperEnvironment = Readonly<Record<string, string | undefined>>;

/** The variables without which Capstan renews nothing; `bin/capstan` tells certmonger so. */
const REQUIRED = ['CERTMONGER_CSR', 'CERTMONGER_CERTIFICATE'];

/** What certmonger wants renewed. */
export interface RenewalRequest {
  /** PKCS#10, PEM. */
  request: string;
  /** The certificate that is to be renewed. */
  current: X509Certificate;
  /** The profile in the tracking request; undefined where it names none. */
  profile: string | undefined;
  /** How often certmonger was told to ask again. */
  asked: number;
}

const COOKIE = /^capstan-(\d{1,6})$/;

/**
 * What is asked for.
 * @throws CapstanError (exit code 2) `usage`
 */
export function requestOf(environment: HelperEnvironment): RenewalRequest {
  const missing = REQUIRED.filter((name) => !environment[name]);
  if (missing.length > 0) {
    throw refusal(
      'usage',
      `certmonger gave no ${missing.join(' and no ')}.`,
      'certmonger runs this program; a person has no need to.',
    );
  }
  const current = new X509Certificate(environment.CERTMONGER_CERTIFICATE ?? '');
  const [, count = '0'] = COOKIE.exec(environment.CERTMONGER_CA_COOKIE?.trim() ?? '') ?? [];
  return {
    request: environment.CERTMONGER_CSR ?? '',
    current,
    profile: environment.CERTMONGER_CA_PROFILE || undefined,
    asked: Number(count),
  };
}

/** Seconds between two questions: soon at first, for the other server may be at it just now. */
const SOON = 60;
const LATEST = 3600;

/** Has certmonger ask again, each time later. */
export function askLater(asked: number): HelperAnswer {
  const seconds = Math.min(SOON * 2 ** Math.min(asked, 20), LATEST);
  return { code: ANSWERS.later, output: `${seconds}\ncapstan-${asked + 1}` };
}
