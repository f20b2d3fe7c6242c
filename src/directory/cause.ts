import { endOfFile } from '../host/files.ts';
import type { DirectoryInstance } from './instance.ts';

/** Bytes of the errors log that are read at most, its end: a start writes a few KiB. */
const TAIL = 64 * 1024;

/** The levels of what keeps the server from its work (389-ds, `slapi_log_err`; the names are syslog's). */
const SEVERE = /^\[[^\]]*\] - (?:EMERG|ALERT|CRIT|ERR) - (.*)$/;

/** What every start of 389-ds 1.4.4 complains of in a container without FIPS, or with a new database. */
const HARMLESS = /^(?:slapd_system_isFIPS|attrcrypt_)/;

/**
 * What the instance complained of in its errors log since its last start, the first such line: what follows it, follows
 * from it. Undefined where it did not.
 */
export async function directoryComplaint({
  name,
}: Pick<DirectoryInstance, 'name'>): Promise<string | undefined> {
  return complaintIn(await endOfFile(`/var/log/dirsrv/slapd-${name}/errors`, TAIL).catch(() => ''));
}

/** The complaint in the text of an errors log; see {@link directoryComplaint}. */
export function complaintIn(log: string): string | undefined {
  const lines = log.split('\n');
  // A start that fails early does not say that it starts.
  const start = lines.findLastIndex((line) => / starting up$| slapd stopped\.$/.test(line));
  for (const line of lines.slice(Math.max(start, 0))) {
    const said = SEVERE.exec(line)?.[1];
    if (said && !HARMLESS.test(said)) return said;
  }
  return undefined;
}
