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
  /** Seconds that a look may take. */
  patience?: number;
}

/** A fault as `--json` tells it. */
export interface Finding {
  source: string;
  check: string;
  result: string;
  kw: { key: string; msg: string; remedy: string };
}

/**
 * `keep FILE` and `give FILE` save a file and put it back; `shadow FILE` and `unshadow FILE` lay what comes in over a file;
 * `ldap` takes LDIF; `entry DN` prints an entry with all that can be added again.
 */
export const PRELUDE = `
L='-Q -Y EXTERNAL -H ldapi://%2Frun%2Fslapd-EXAMPLE-TEST.socket'
C=/etc/pki/pki-tomcat/ca/CS.cfg; A=/etc/pki/pki-tomcat/alias; P=/etc/pki/pki-tomcat/password.conf; S=dc=example,dc=test
REC=cn=ipa,cn=cas,cn=ca,$S; ROLE=cn=CA,cn=ca1.example.test,cn=masters,cn=ipa,cn=etc,$S; SD=cn=CAList,ou=Security\\ Domain,o=ipaca
V=/etc/capstan/lab; T=$(cat $V/token-name); M=$(cat $V/library-path); PIN=$(cat $V/token-password)
mkdir -p /run/kept
keep() { cp -a --parents "$1" /run/kept; }
give() { cp -a "/run/kept$1" "$1"; rm -r "/run/kept$1"; }
shadow() { local copy=/run/shadow$(echo "$1" | tr / _); cat > $copy; mount --bind $copy "$1"; }
unshadow() { umount "$1"; }
ldap() { ldapmodify $L >/dev/null; }
entry() { ldapsearch -LLL -o ldif-wrap=no $L -b "$1" "\${@:2}"; }
value() { entry "$1" -s base "$2" | sed -n "s/^$2: //p" | head -1; }
tool() { pkcs11-tool --module $M --token-label "$T" "$@"; }
`;

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
export function script(host: string, text: string): Promise<unknown> {
  return inHost(host, ['bash', '-ec', `${PRELUDE}${text}`], { deadline: 300 });
}

/** Makes each fault in turn, and expects exactly its codes, beside those that the lab has anyway. */
export function faultTests(faults: readonly MadeFault[], anyway: () => readonly string[] = () => []): void {
  for (const { codes, says, make, mend, on = 'ca1', patience = 15 } of faults) {
    const wanted = [codes].flat();
    test(wanted.join(', '), async () => {
      await script(on, typeof make === 'string' ? make : await make());
      let found: Finding[];
      try {
        found = await findings('ca1', ['--deadline', `health=${patience}`]);
      } finally {
        await script(on, mend);
      }
      expect({ codes: codesOf(found), found }).toMatchObject({
        codes: [...new Set([...wanted, ...anyway()])].toSorted(),
      });
      if (says) expect(found.map(({ kw }) => kw.msg).join('\n')).toMatch(says);
      for (const { kw } of found) expect(kw.remedy).not.toBe('');
    });
  }
}
