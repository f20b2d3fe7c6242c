/** Passwords that the directory itself refuses when their time is over. */
import type { Secret } from '../secret/secret.ts';
import type { Directory } from './client.ts';

/**
 * The attributes of an entry whose password ends at a time, beside the object class `passwordPolicy`. The entry is its
 * own password policy, so that the policy cannot be missing: the password expires, the first login does not put that
 * off (`passwordWarning` 0), there is no login after it (`passwordGraceLimit` 0), and its owner cannot change it. Seen
 * with 389-ds 1.4.4: from that second on a bind ends with result 49, "password expired!". A server heeds it only where
 * {@link enforceLifetimes} was called.
 * @param dn of the entry
 */
export function expiringPassword(dn: string, password: Secret, expires: Date): Record<string, string[]> {
  return {
    userPassword: [password.reveal()],
    pwdpolicysubentry: [dn],
    passwordExp: ['on'],
    passwordExpirationTime: [generalizedTime(expires)],
    passwordWarning: ['0'],
    passwordGraceLimit: ['0'],
    passwordChange: ['off'],
  };
}

/** When the password of an entry ends; undefined where there is no entry, or no end. */
export async function passwordExpiry(directory: Directory, dn: string): Promise<Date | undefined> {
  const entry = await directory.entry(dn, ['passwordExpirationTime']);
  return parseGeneralizedTime(entry?.values('passwordExpirationTime')[0] ?? '');
}

/**
 * Has a server heed the password policies of single entries (389-ds, `nsslapd-pwpolicy-local`, off unless set). The
 * configuration of each server is its own: every one needs it, or the password would not end there.
 * @throws CapstanError `directory-refused`
 */
export async function enforceLifetimes(directory: Directory): Promise<void> {
  await directory.replace('cn=config', { 'nsslapd-pwpolicy-local': ['on'] });
}

/** What the clock of the server says, to the second (389-ds, `currentTime` of cn=monitor; anybody may read it). */
export async function clockOf(directory: Directory): Promise<Date | undefined> {
  const entry = await directory.entry('cn=monitor', ['currentTime']);
  return parseGeneralizedTime(entry?.values('currentTime')[0] ?? '');
}

/** A time as LDAP's GeneralizedTime (RFC 4517, 3.3.13), UTC, whole seconds. */
export function generalizedTime(time: Date): string {
  return time.toISOString().replaceAll(/[-:T]|\.\d+/g, '');
}

/** The time in a GeneralizedTime of UTC and whole seconds, as 389-ds writes it; undefined where it is none. */
export function parseGeneralizedTime(text: string): Date | undefined {
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text) ?? [];
  const time = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(time.getTime()) ? undefined : time;
}
