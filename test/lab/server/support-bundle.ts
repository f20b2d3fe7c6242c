/** The support bundle of a server: what helps to find a fault, and nothing that is secret. */
import { describe, expect, test } from 'vitest';
import { inHost, SECRETS, sh, unwell, VALUES } from '../support.ts';

/** A log of the CA that is empty in its first hour: a place for what a careless daemon could write. */
const CARELESS_LOG = '/var/log/pki/pki-tomcat/ca/system';
/** What a killed run of Capstan leaves in memory. */
const LEFT = '/run/capstan-999999-killed';

/**
 * Writes every secret of the host into a log, as it is and in the spellings of other programs: the rehearsal's, those
 * that Dogtag and 389-ds drew, one that only a killed run knew, and a key. Keeps a list of them in /run/canaries.
 */
const CARELESS = `
import base64, glob, json, os, re, urllib.parse, xml.sax.saxutils
read = lambda path: open(path).read()
secrets = [read("${VALUES}/" + name).rstrip("\\n") for name in ("token-password", "ds-password", "admin-password")]
secrets += [line.split("=", 1)[1] for line in read("/etc/pki/pki-tomcat/password.conf").splitlines()]
secrets += re.findall(r'requiredSecret="([^"]+)"', read("/etc/pki/pki-tomcat/server.xml"))[:1]
secrets += [read(path).strip() for path in glob.glob("/etc/dirsrv/slapd-*/pwdfile.txt")]
os.makedirs("${LEFT}/client")
open("${LEFT}/client/password.conf", "w").write("internal=Left.behind/1\\n")
open("${LEFT}/ca.cfg", "w").write("[CA]\\npki_admin_name = admin\\npki_admin_password = " + secrets[2].replace("%", "%%") + "\\n")
secrets.append("Left.behind/1")
key = read("/var/lib/capstan/ra-agent.key")
spell = [str, json.dumps, repr, urllib.parse.quote, urllib.parse.quote_plus, xml.sax.saxutils.escape, lambda text: base64.b64encode(text.encode()).decode()]
with open("${CARELESS_LOG}", "a") as log:
    for secret in secrets:
        for way in spell:
            log.write("trace: the password is " + way(secret) + " today\\n")
    log.write("trace: pki-server ca-user-add --password Nobody.knows.1 --type agentType\\n" + key)
forms = {way(secret) for secret in secrets for way in spell} | {"Nobody.knows.1"} | set(key.splitlines()[1:-1])
hashes = re.findall(r"^nsslapd-rootpw: \\{\\S+?\\}(\\S{20,})", read(glob.glob("/etc/dirsrv/slapd-*/dse.ldif")[0]), re.M)
open("/run/canaries", "w").write("\\n".join(sorted(forms | set(hashes))) + "\\n")
`;

/** The parts of a manifest that are looked at. */
interface Manifest {
  members: { member: string; missing?: string; note?: string }[];
}

/** Makes a support bundle on ca1 and unpacks it into /run/bundle. */
async function bundle(options: string[] = []): Promise<Manifest> {
  const file = '/root/bundle.tar.gz';
  await sh('ca1', `rm -rf ${file} /run/bundle`);
  await inHost('ca1', ['capstan', 'support-bundle', '--output-file', file, ...options], { deadline: 200 });
  expect(await sh('ca1', `stat -c '%a %U' ${file}`)).toBe('600 root\n');
  await sh('ca1', `mkdir -m 700 /run/bundle; tar -C /run/bundle --strip-components=1 -xzf ${file}`);
  return JSON.parse(await sh('ca1', 'cat /run/bundle/manifest.json'));
}

/** Registers the tests, on a first server without a fault; so it is afterwards. @param token the token of its CA */
export function supportBundleTests(token: () => { label: string; library: string }): void {
  describe('support-bundle', () => {
    test('holds what helps to find a fault, and no secret that anything on the host knows or wrote', async () => {
      await sh('ca1', `umask 077; cp ${CARELESS_LOG} /run/system`);
      await inHost('ca1', ['python3', '-c', CARELESS]);
      expect(Number(await sh('ca1', 'wc -l < /run/canaries'))).toBeGreaterThan(50);
      expect(await sh('ca1', `grep -caFf /run/canaries ${CARELESS_LOG}`)).not.toBe('0\n');
      const { members } = await bundle();
      // Nothing but what this distribution and this server have not, and a pkidestroy that never was.
      expect(members.filter(({ missing }) => missing).map(({ member }) => member)).toEqual([
        'dogtag/log/kra/selftests.log',
        'dogtag/log/kra/',
        'dogtag/log/',
        'dogtag/conf/kra/CS.cfg',
        'host/fips',
        'host/selinux.txt',
      ]);
      const inBundle = (await sh('ca1', "find /run/bundle -type f -size +0 -printf '%P\\n'")).split('\n');
      expect(inBundle).toEqual(
        expect.arrayContaining([
          ...['capstan/journal/server.json', 'capstan/log/server-install.log', 'capstan/status.json'],
          ...['dogtag/conf/CS.cfg', 'dogtag/conf/server.xml', 'dogtag/log/ca/selftests.log'],
          ...[
            'directory/EXAMPLE-TEST/dse.ldif',
            'directory/EXAMPLE-TEST/errors',
            'directory/hsm-record.ldif',
          ],
          ...['certmonger/list.txt', 'hsm/tokens.json', 'systemd/journal/pki-tomcatd@all.log'],
          ...['systemd/units.conf', 'host/packages.txt', 'host/disk.txt', 'host/hosts', 'host/clock.txt'],
        ]),
      );
      expect(inBundle.join('\n')).toMatch(/^dogtag\/log\/ca\/debug\..*\.log$/m);
      expect(inBundle.join('\n')).toMatch(/^dogtag\/log\/ca\/archive\/spawn_deployment\.cfg\.\d+$/m);
      expect(inBundle.filter((name) => /^certmonger\/requests\/\d/.test(name))).toHaveLength(5);
      expect(inBundle.join('\n')).not.toMatch(/\.key$|\.p12$|password\.conf|pwdfile|pin\.txt|cert9|key4/m);
      expect(await sh('ca1', 'grep -rlaFf /run/canaries /run/bundle || true')).toBe('');
      for (const secret of SECRETS) {
        expect(await sh('ca1', `grep -rlaFf ${VALUES}/${secret} /run/bundle || true`)).toBe('');
      }
      await sh('ca1', `cat /run/system > ${CARELESS_LOG}; rm -r ${LEFT} /run/system /run/canaries`);
    });

    test('tells the state as it is', async () => {
      expect(
        await sh('ca1', 'diff /run/bundle/capstan/journal/server.json /var/lib/capstan/server.json'),
      ).toBe('');
      expect(JSON.parse(await sh('ca1', 'cat /run/bundle/capstan/status.json'))).toMatchObject({
        well: true,
      });
      expect(await sh('ca1', 'cat /run/bundle/directory/hsm-record.ldif')).toContain(
        `ipaCaHSMConfiguration: ${token().label};${token().library}\n`,
      );
      const { tokens, objects } = JSON.parse(await sh('ca1', 'cat /run/bundle/hsm/tokens.json'));
      const [mine] = tokens.filter(({ label }: { label: string }) => label === token().label);
      const classes = objects[mine.slot].map((object: { class: string }) => object.class);
      expect(classes.filter((name: string) => name === 'certificate')).toHaveLength(4);
      // Private objects are for those who log in.
      expect(classes).not.toContain('private-key');
      expect(await sh('ca1', 'grep -c "^ca.signing.tokenname=" /run/bundle/dogtag/conf/CS.cfg')).toBe('1\n');
      expect(await sh('ca1', 'grep "key_pin=" -h /run/bundle/certmonger/requests/* | sort -u')).toBe(
        'key_pin=[secret]\n',
      );
    });

    test('does not wait for a directory that hangs', async () => {
      const signal = (name: string) => sh('ca1', `systemctl kill --signal=${name} dirsrv@EXAMPLE-TEST`);
      await signal('STOP');
      const begun = performance.now();
      const deadlines = ['ldap', 'http', 'signature', 'command'].flatMap((name) => [
        '--deadline',
        `${name}=3`,
      ]);
      let members: Manifest['members'];
      try {
        ({ members } = await bundle(deadlines));
      } finally {
        await signal('CONT');
      }
      expect(performance.now() - begun).toBeLessThan(60_000);
      const record = members.find(({ member }) => member === 'directory/hsm-record.ldif');
      expect(record?.missing).toContain('silent to "bind": no answer within 3 s');
      expect(members.find(({ member }) => member === 'dogtag/conf/CS.cfg')?.missing).toBeUndefined();
      expect(await sh('ca1', 'cat /run/bundle/capstan/status.json')).toContain('"well": false');
      await sh('ca1', 'rm -r /run/bundle /root/bundle.tar.gz');
      expect(await unwell()).toEqual([]);
    });
  });
}
