/** What a join secret can and cannot do, by OpenLDAP's tools and curl; its end is enforced by the daemons, not by Capstan. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { inHost, sh } from '../support.ts';
import { capstan, fqdn, ldapmodify, ldapsearch, succeeds, valuesOf } from './hosts.ts';

const JOINER = fqdn('ca2');
const USER = `uid=admin-${JOINER},ou=people,o=ipaca`;
const IDENTITY = `uid=${JOINER},cn=sysaccounts,cn=etc,dc=example,dc=test`;
const SECRET = '/run/join-secret-to-try';

/** What `replica-prepare --output json` tells. */
interface Prepared {
  joinSecret: string;
  expires: string;
  way: string;
  command: string;
}

async function prepared(...more: string[]): Promise<Prepared> {
  const { last } = await succeeds('ca1', ['replica-prepare', JOINER, ...more]);
  return last as unknown as Prepared;
}

/** Puts a secret where the tools below read it, without a line end: ldapsearch takes the whole file. */
async function use({ joinSecret }: Prepared): Promise<void> {
  await inHost('ca1', ['bash', '-ec', `umask 077; cat > ${SECRET}`], { input: joinSecret });
}

/** A bind as the user, over LDAPS: the exit status of ldapsearch, which is the LDAP result, and its output. */
async function bind(words: string): Promise<{ result: number; output: string }> {
  const { exitCode, stdout, stderr } = await inHost(
    'ca1',
    [
      'bash',
      '-c',
      `LDAPTLS_CACERT=/etc/capstan/ca.crt ldapsearch -LLL -o ldif-wrap=no -x -H ldaps://${fqdn('ca1')} -D ${USER} -y ${SECRET} ${words}`,
    ],
    { accept: Array.from({ length: 256 }, (_, code) => code) },
  );
  return { result: exitCode ?? -1, output: stdout + stderr };
}

/** The HTTP status of a login to the CA's REST interface with the secret. */
async function login(): Promise<string> {
  return sh(
    'ca1',
    `umask 077; printf 'user = "admin-${JOINER}:%s"\\n' "$(cat ${SECRET})" > ${SECRET}.curl
     curl -sS -o /dev/null -w '%{http_code}' --cacert /etc/capstan/ca.crt -K ${SECRET}.curl https://${fqdn('ca1')}:8443/ca/rest/account/login
     rm ${SECRET}.curl`,
  );
}

/** Registers the tests. The first host is a server, the second none yet; nothing is left of them. */
export function joinSecretTests(): void {
  describe('a join secret', () => {
    test('lets the host in, over LDAP and into Dogtag', async () => {
      const one = await prepared('--lifetime', '30m');
      await use(one);
      expect(one.way).toBe('refused');
      expect(one.command).toContain(`--server ${fqdn('ca1')} --ca-fingerprint sha256:`);
      expect(one.command).not.toContain(one.joinSecret);
      const left = new Date(one.expires).getTime() - Date.now();
      expect(Math.abs(left - 30 * 60_000)).toBeLessThan(60_000);
      expect(
        (await bind(`-b 'cn=ipa,cn=cas,cn=ca,dc=example,dc=test' ipaCaHSMConfiguration`)).output,
      ).toMatch(/^ipaCaHSMConfiguration: [^;]+;\//m);
      expect(await login()).toBe('200');
    });

    test('shows nothing of certificates, requests, or the configuration', async () => {
      for (const base of [
        'ou=certificateRepository,ou=ca,o=ipaca',
        'ou=ca,ou=requests,o=ipaca',
        'cn=config',
      ]) {
        const { result, output } = await bind(`-b '${base}' -s sub dn`);
        expect([base, result]).toEqual([base, expect.toSatisfy((code) => code === 0 || code === 32)]);
        const below = valuesOf(output, 'dn').filter((dn) => dn !== base);
        // What anybody may see of the configuration: the server's statistics and the like hold no entry of these.
        expect([base, below.filter((dn) => /replica|agreement|cn=\d+,/i.test(dn))]).toEqual([base, []]);
      }
      expect((await bind(`-b 'o=ipaca' '(userPassword=*)' dn`)).output.trim()).toBe('');
    });

    test('cannot be made to last longer by who has it', async () => {
      for (const change of ['passwordExpirationTime: 20390101000000Z', 'userPassword: Another-Secret-1']) {
        const [attribute = ''] = change.split(':');
        const { exitCode } = await inHost(
          'ca1',
          [
            'bash',
            '-c',
            `LDAPTLS_CACERT=/etc/capstan/ca.crt ldapmodify -x -H ldaps://${fqdn('ca1')} -D ${USER} -y ${SECRET}`,
          ],
          {
            input: `dn: ${USER}\nchangetype: modify\nreplace: ${attribute}\n${change}\n`,
            accept: Array.from({ length: 256 }, (_, code) => code),
          },
        );
        expect([attribute, exitCode]).toEqual([attribute, 50]);
      }
    });

    test('ends by itself: the directory and Dogtag refuse it from then on', async () => {
      const soon = new Date(Date.now() + 8000).toISOString().replaceAll(/[-:T]|\.\d+/g, '');
      await ldapmodify(
        'ca1',
        `dn: ${USER}\nchangetype: modify\nreplace: passwordExpirationTime\npasswordExpirationTime: ${soon}\n`,
      );
      expect((await bind('-b "" -s base dn')).result).toBe(0);
      await sleep(9000);
      const over = await bind('-b "" -s base dn');
      expect([over.result, over.output]).toEqual([49, expect.stringContaining('password expired')]);
      expect(await login()).toBe('401');
    });

    test('is dead when another is drawn for the host, of which there is one user and one identity', async () => {
      const first = await prepared();
      const second = await prepared();
      expect(second.joinSecret).not.toBe(first.joinSecret);
      await use(first);
      expect((await bind('-b "" -s base dn')).result).toBe(49);
      expect(await login()).toBe('401');
      await use(second);
      expect((await bind('-b "" -s base dn')).result).toBe(0);
      const groups = await ldapsearch('ca1', 'ou=groups,o=ipaca', `'(uniqueMember=${USER})' cn uniqueMember`);
      expect(valuesOf(groups, 'cn')).toEqual(['Enterprise CA Administrators']);
      expect(valuesOf(groups, 'uniqueMember').filter((member) => member === USER)).toHaveLength(1);
      const identities = await ldapsearch(
        'ca1',
        'cn=sysaccounts,cn=etc,dc=example,dc=test',
        `'(uid=${JOINER})' seeAlso`,
      );
      expect(valuesOf(identities, 'seeAlso')).toEqual([`CN=${JOINER},O=EXAMPLE.TEST`]);
    });

    test('is in no file, journal or log of the server that drew it', async () => {
      const { joinSecret } = await prepared();
      const found = await sh(
        'ca1',
        `grep -rlaF -- '${joinSecret}' /etc /root /run /tmp /var/log /var/lib/capstan 2>/dev/null || true
         journalctl -o export --all | grep -caF -- '${joinSecret}' || true`,
      );
      expect(found.trim()).toBe('0');
      await sh('ca1', `rm -f ${SECRET}`);
    });

    test('is taken back, and with it the identity of the host', async () => {
      await use(await prepared());
      expect((await bind('-b "" -s base dn')).result).toBe(0);
      const group = () => ldapsearch('ca1', 'dc=example,dc=test', `'(member=${IDENTITY})' dn`);
      expect(await group()).not.toBe('');
      const { last } = await succeeds('ca1', ['replica-prepare', JOINER, '--revoke']);
      expect(last).toMatchObject({ hostname: JOINER, revoked: true });
      expect((await bind('-b "" -s base dn')).result).toBe(49);
      expect(
        await ldapsearch('ca1', 'dc=example,dc=test', `'(|(uid=${JOINER})(member=${IDENTITY}))' dn`),
      ).toBe('');
      await sh('ca1', `rm -f ${SECRET}`);
    });

    test.each([
      ['a host that is a server', fqdn('ca1'), 'server-exists'],
      ['a short name', 'ca2', 'hostname-invalid'],
      ['an address', '10.77.0.12', 'hostname-invalid'],
      ['too short a time', [JOINER, '--lifetime', '9m'], 'lifetime-invalid'],
    ])('is not drawn for %s', async (_, words, code) => {
      const { exit, last } = await capstan('ca1', ['replica-prepare', ...[words].flat()]);
      expect([exit, last.code]).toEqual([2, code]);
    });
  });
}
