/** Faults that are made for real, one after the other, and what `capstan health` makes of each. */
import { expect, test } from 'vitest';
import { inHost } from '../support.ts';

/** A fault: how it is made, what is found, and how it is taken back. Scripts of bash, with the functions of {@link PRELUDE}. */
export interface MadeFault {
  /** The codes that are found, and no others. */
  codes: string | readonly string[];
  /** What one of the messages says. */
  says?: RegExp;
  make: string | (() => Promise<string>);
  mend: string;
  /** Where it is made; ca1 unless told. */
  on?: 'ca1' | 'ca2';
  /** Where it is mended; where it was made unless told. */
  mendOn?: 'ca1' | 'ca2';
  /** Seconds that a look may take. */
  patience?: number;
  /** Whether it hides others, or meets them, and so is made on its own. */
  alone?: true;
  /** What no two faults can have at the same time. */
  place?: string;
}

/** A fault as `--json` tells it. */
export interface Finding {
  source: string;
  check: string;
  result: string;
  kw: { key: string; msg: string; remedy: string };
}

/**
 * `$K` is a folder of the fault; `keep FILE` and `give FILE` save a file and put it back; `shadow FILE` and `unshadow FILE` lay what comes in over a file;
 * `ldap` takes LDIF; `entry DN` prints an entry with all that can be added again; `begin UNIT` starts a service that was
 * started often a moment ago, which systemd refuses from the sixth start in ten seconds on.
 */
export const PRELUDE = `
L='-Q -Y EXTERNAL -H ldapi://%2Frun%2Fslapd-EXAMPLE-TEST.socket'
C=/etc/pki/pki-tomcat/ca/CS.cfg; A=/etc/pki/pki-tomcat/alias; P=/etc/pki/pki-tomcat/password.conf; S=dc=example,dc=test
REC=cn=ipa,cn=cas,cn=ca,$S; ROLE=cn=CA,cn=ca1.example.test,cn=masters,cn=ipa,cn=etc,$S; SD=cn=CAList,ou=Security\\ Domain,o=ipaca; KD=cn=KRAList,ou=Security\\ Domain,o=ipaca
V=/etc/capstan/lab; T=$(cat $V/token-name); M=$(cat $V/library-path); PIN=$(cat $V/token-password)
keep() { cp -a --parents "$1" $K; }
give() { cp -a "$K$1" "$1"; }
shadow() { local copy=$K/shadow$(echo "$1" | tr / _); cat > $copy; mount --bind $copy "$1"; }
unshadow() { umount "$1"; }
ldap() { ldapmodify $L >/dev/null; }
entry() { ldapsearch -LLL -o ldif-wrap=no $L -b "$1" "\${@:2}"; }
value() { entry "$1" -s base "$2" | sed -n "s/^$2: //p" | head -1; }
tool() { pkcs11-tool --module $M --token-label "$T" "$@"; }
begin() { systemctl reset-failed "$1"; systemctl start "$1"; }
`;

/**
 * Has timedatectl say whether the clock follows a time server. Hosts of a lab have the clock of the machine, which nobody
 * may change for a test, and which may follow one or not.
 */
export function timedatectl(word: 'yes' | 'no'): string {
  return `printf '#!/bin/sh\\necho ${word}\\n' > $K/timedatectl; chmod +x $K/timedatectl; mount --bind $K/timedatectl /usr/bin/timedatectl`;
}

/** What `capstan health` finds on a host. */
export async function findings(host = 'ca1', words: readonly string[] = []): Promise<Finding[]> {
  const argv = ['capstan', 'health', '--json', '--failures-only', ...words];
  const { stdout } = await inHost(host, argv, { accept: [0, 1], deadline: 120 });
  return JSON.parse(stdout);
}

/** The codes among findings, each once, sorted. */
export function codesOf(found: readonly Finding[]): string[] {
  return [...new Set(found.map(({ check }) => check))].toSorted();
}

/** Runs a script with the functions of {@link PRELUDE}. */
export async function script(host: string, text: string): Promise<void> {
  await run(host, [{ folder: 'script', text }]);
}

/**
 * Runs scripts one after the other in one shell, each with the functions of {@link PRELUDE} and a folder of its own.
 * @param way `somehow` goes on where something fails
 */
async function run(
  host: string,
  scripts: readonly { folder: string; text: string }[],
  way: 'strictly' | 'somehow' = 'strictly',
): Promise<void> {
  const text = scripts.map((one) => `K=/run/faults/${one.folder}; mkdir -p $K\n${one.text}\n`).join('');
  await inHost(host, ['bash', way === 'strictly' ? '-ec' : '-c', `${PRELUDE}${text}`], {
    deadline: 300,
    accept: way === 'strictly' ? [0] : Array.from({ length: 256 }, (_, code) => code),
  });
}

/** The hosts of the rehearsal. */
const HOSTS = ['ca1', 'ca2'] as const;

/** A script of one of several faults, and where it is run. */
interface Part {
  host: string;
  folder: string;
  text: string;
}

/**
 * Makes each fault, and expects exactly its codes. Those that do not meet are made
 * at the same time, up to {@link TOGETHER}; each on its own with CAPSTAN_TEST_FAULTS=single.
 */
export function faultTests(faults: readonly MadeFault[]): void {
  for (const batch of batchesOf(faults)) {
    test(codesIn(batch).join(', '), async () => {
      const found = await foundWith(batch);
      const told = found.map(({ kw }) => kw.msg).join('\n');
      expect(codesOf(found), told).toEqual(codesIn(batch).toSorted());
      for (const { says } of batch) if (says) expect(told).toMatch(says);
      for (const { kw } of found) expect(kw.remedy).not.toBe('');
    });
  }
}

/** What is found while some faults are there. */
async function foundWith(batch: readonly MadeFault[]): Promise<Finding[]> {
  const makes = await Promise.all(
    batch.map(async ({ make, on = 'ca1' }, index) => ({
      ...{ host: on, folder: String(index) },
      text: typeof make === 'string' ? make : await make(),
    })),
  );
  const mends = batch.map(({ mend, on = 'ca1', mendOn = on }, index) => ({
    ...{ host: mendOn, folder: String(index), text: mend },
  }));
  let found: Finding[];
  try {
    await everywhere(makes);
    found = await findings('ca1', ['--deadline', `health=${patienceOf(batch)}`]);
  } catch (error) {
    await everywhere(mends.toReversed(), 'somehow');
    throw error;
  }
  await everywhere(mends.toReversed());
  return found;
}

async function everywhere(parts: readonly Part[], way: 'strictly' | 'somehow' = 'strictly'): Promise<void> {
  for (const host of HOSTS) {
    const here = parts.filter((part) => part.host === host);
    if (here.length > 0) await run(host, here, way);
  }
}

/** Faults that are made at the same time, at most. */
const TOGETHER = process.env.CAPSTAN_TEST_FAULTS === 'single' ? 1 : 8;

function batchesOf(faults: readonly MadeFault[]): MadeFault[][] {
  const batches: MadeFault[][] = [];
  for (const fault of faults) {
    const fits = (batch: readonly MadeFault[]) =>
      !fault.alone &&
      batch.length < TOGETHER &&
      batch.every((one) => !one.alone && !haveInCommon(one, fault));
    const batch = batches.find(fits);
    if (batch) batch.push(fault);
    else batches.push([fault]);
  }
  return batches;
}

function haveInCommon(one: MadeFault, other: MadeFault): boolean {
  const sameCode = codesIn([one]).some((code) => codesIn([other]).includes(code));
  return sameCode || (one.place !== undefined && one.place === other.place);
}

function codesIn(faults: readonly MadeFault[]): string[] {
  return [...new Set(faults.flatMap(({ codes }) => codes))];
}

/** Seconds for a look at a machine that is busy with other labs. */
const BUSY = 60;

function patienceOf(faults: readonly MadeFault[]): number {
  return Math.min(...faults.map(({ patience = BUSY }) => patience));
}
