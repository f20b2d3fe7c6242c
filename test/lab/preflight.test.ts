/** Every refusal of `server-install`, by the installed program on a real host and a real token. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { labTokenReset } from '../../src/lab/lab.ts';
import {
  freshLab,
  inHost,
  installOptions,
  LAB,
  lastEvent,
  machine,
  putModule,
  removeLab,
  sh,
  VALUES,
  value,
} from './support.ts';

let label: string;
let library: string;

beforeAll(async () => {
  await freshLab({ hosts: ['ca1'] });
  label = await value('token-name');
  library = await value('library-path');
  // A lab has no name server: names that are in no file are then unknown, and not merely out of reach.
  await sh('ca1', "sed -i 's/^hosts:.*/hosts: files/' /etc/nsswitch.conf");
});

afterAll(removeLab);

/** Everything that an installation would change: files and their rights, users, the token's objects, units. */
async function inventory(): Promise<string> {
  return sh(
    'ca1',
    `find /etc /usr /opt /root /home /srv /var/lib /run/capstan* -xdev \\( -path /var/lib/systemd -o -path /var/lib/apt -o -path /var/lib/logrotate -o -path /var/lib/softhsm -o -path /usr/local/lib \\) -prune -o -printf '%p %y %m %u %g %s %C@\\n' 2>/dev/null | sort
     systemctl list-unit-files --no-legend
     pkcs11-tool --module "${library}" --token-label "${label}" --login --pin "$(cat ${VALUES}/token-password)" -O 2>/dev/null | sort`,
  );
}

interface Refusal {
  options?: Record<string, string | undefined>;
  extra?: string[];
  /** Extra words before `capstan`. */
  as?: string[];
}

/** Runs an installation that must be refused, and gives the codes with their messages. */
async function refused({
  options = {},
  extra = [],
  as = [],
}: Refusal): Promise<{ code: string; message: string }[]> {
  const before = await inventory();
  const argv = [
    ...as,
    'capstan',
    'server-install',
    '--unattended',
    '--output',
    'json',
    ...(await installOptions(options)),
    ...extra,
  ];
  const result = await inHost('ca1', argv, { accept: [2], deadline: 120 });
  expect(await inventory()).toBe(before);
  const event = lastEvent(result.stdout);
  expect(event).toMatchObject({ type: 'error', exit: 2 });
  return event.failures?.length ? event.failures : [{ code: event.code ?? '', message: event.message ?? '' }];
}

async function codesOf(refusal: Refusal): Promise<string[]> {
  return (await refused(refusal)).map(({ code }) => code);
}

describe('the token', () => {
  test('a label that no token has, and one that is only part of a label', async () => {
    const [unknown] = await refused({ options: { '--token-name': 'nowhere' } });
    expect(unknown).toMatchObject({ code: 'token-not-found', message: expect.stringContaining(label) });
    expect(await codesOf({ options: { '--token-name': label.slice(0, -1) } })).toEqual(['token-not-found']);
  });

  test.each([
    ['a colon', 'my:token'],
    ['a semicolon', 'my;token'],
    ['an equals sign', 'my=token'],
    ['33 bytes', 'x'.repeat(33)],
    ['33 bytes of UTF-8', 'ä'.repeat(17)],
  ])('a label with %s', async (_, wrong) => {
    expect(await codesOf({ options: { '--token-name': wrong } })).toContain('token-label-invalid');
  });

  test('a library that is not there, and files that are no PKCS#11 library', async () => {
    expect(await codesOf({ options: { '--library-path': '/usr/lib/nowhere.so' } })).toEqual([
      'module-missing',
    ]);
    expect(await codesOf({ options: { '--library-path': '/lib/x86_64-linux-gnu/libc.so.6' } })).toEqual([
      'module-not-pkcs11',
    ]);
    expect(await codesOf({ options: { '--library-path': '/etc/hosts' } })).toEqual(['module-load-failed']);
  });

  test('a library that pkiuser may not read', async () => {
    const path = await putModule('ca1', 'private.so', {
      source: 'shim',
      settings: { SHIM_LIBRARY: library },
    });
    await sh('ca1', `chmod 600 ${path}`);
    expect(await codesOf({ options: { '--library-path': path } })).toEqual(['module-unreadable']);
  });

  test('a PIN that password.conf cannot carry', async () => {
    await sh('ca1', `umask 077; printf 'Pïn-1234' > /run/pin; printf 'Pin-1234\\\\' > /run/pin2`);
    const codes = (file: string) => codesOf({ options: { '--token-password-file': file } });
    expect(await codes('/run/pin')).toContain('token-password-invalid');
    expect(await codes('/run/pin2')).toEqual(['secret-file-unusable']);
  });

  test('a library that hangs in C_Initialize is given up at its deadline', async () => {
    const path = await putModule('ca1', 'hangs.so', {
      source: 'misbehaves',
      settings: { MISBEHAVE: 'hang' },
    });
    const begun = Date.now();
    expect(await codesOf({ options: { '--library-path': path, '--token-timeout': '3' } })).toEqual([
      'module-hangs',
    ]);
    expect(Date.now() - begun).toBeLessThan(20_000);
    const { stdout } = await inHost('ca1', ['pgrep', '-f', 'module-child'], { accept: [0, 1] });
    expect(stdout).toBe('');
  });

  test('a library that crashes in C_Initialize', async () => {
    const path = await putModule('ca1', 'crashes.so', {
      source: 'misbehaves',
      settings: { MISBEHAVE: 'crash' },
    });
    const [found] = await refused({ options: { '--library-path': path } });
    expect(found).toMatchObject({ code: 'module-crashed', message: expect.stringContaining('C_Initialize') });
  });

  test('a token directory that pkiuser cannot read', async () => {
    await sh('ca1', 'gpasswd -d pkiuser softhsm >/dev/null');
    try {
      expect(await codesOf({})).toEqual(['module-init-failed']);
    } finally {
      await sh('ca1', 'gpasswd -a pkiuser softhsm >/dev/null');
    }
  });

  test('a wrong PIN is tried once and never again', async () => {
    await sh('ca1', 'echo wrong-pin > /run/wrong-pin; chmod 600 /run/wrong-pin; rm -f /tmp/logins');
    const path = await putModule('ca1', 'counts.so', {
      source: 'shim',
      settings: { SHIM_LIBRARY: library, SHIM_LOGINS: '/tmp/logins' },
    });
    const options = { '--library-path': path, '--token-password-file': '/run/wrong-pin' };
    expect(await codesOf({ options })).toEqual(['pin-incorrect']);
    expect(await sh('ca1', 'cat /tmp/logins')).toBe('L');
  });

  test.each([
    ['locked', '40000', 'pin-locked'],
    ['at its last try', '20000', 'pin-final-try'],
    ['to be changed first', '80000', 'pin-expired'],
  ])('a PIN that is %s is told before any try', async (_, flag, code) => {
    await sh('ca1', 'rm -f /tmp/logins');
    const path = await putModule('ca1', `flag-${flag}.so`, {
      source: 'shim',
      settings: { SHIM_LIBRARY: library, SHIM_LOGINS: '/tmp/logins', SHIM_FLAGS: flag },
    });
    expect(await codesOf({ options: { '--library-path': path } })).toContain(code);
    expect(await sh('ca1', 'test ! -e /tmp/logins && echo none')).toBe('none\n');
  });

  test.each([
    ['write-protected', { SHIM_FLAGS: '2' }, 'token-write-protected'],
    ['without RSA key generation', { SHIM_LACKS: '0' }, 'mechanism-missing'],
    ['without RSA signing', { SHIM_LACKS: '1' }, 'mechanism-missing'],
    ['with RSA keys of 2048 bits only', { SHIM_NARROW: '0 2048' }, 'key-size-unsupported'],
    ['out of sessions', { SHIM_SESSIONS: '8 7 8 7' }, 'sessions-exhausted'],
  ])('a token that is %s', async (name, settings, code) => {
    const path = await putModule('ca1', `${name.replaceAll(/\W+/g, '-')}.so`, {
      source: 'shim',
      settings: { SHIM_LIBRARY: library, ...settings } as Record<string, string>,
    });
    expect(await codesOf({ options: { '--library-path': path } })).toContain(code);
  });

  describe('that is not blank', () => {
    afterEach(() => labTokenReset(machine, LAB));

    test('two tokens of one label are named with their serials', async () => {
      const options = `--label "${label}" --so-pin 12345678 --pin 12345678`;
      await sh(
        'ca1',
        `setpriv --reuid=pkiuser --regid=pkiuser --init-groups softhsm2-util --init-token --free ${options} >/dev/null`,
      );
      const serials = (await sh('ca1', "softhsm2-util --show-slots | sed -n 's/.*Serial number: *//p'"))
        .split('\n')
        .filter((line) => line.trim());
      const [found] = await refused({});
      expect(found?.code).toBe('token-ambiguous');
      expect(serials).toHaveLength(2);
      for (const serial of serials) expect(found?.message).toContain(serial.trim());
    });

    test('keys under the nickname of a system certificate are named', async () => {
      const pin = `--login --pin "$(cat ${VALUES}/token-password)"`;
      await sh(
        'ca1',
        `pkcs11-tool --module ${library} --token-label "${label}" ${pin} --keypairgen --key-type rsa:2048 --id 0a0b --label "caSigningCert cert-pki-ca" >/dev/null 2>&1`,
      );
      const [found] = await refused({});
      expect(found).toMatchObject({
        code: 'token-occupied',
        message: expect.stringContaining('caSigningCert cert-pki-ca'),
      });
      expect(found?.message).toContain('0a0b');
    });
  });
});

describe('the host', () => {
  test('a name that does not resolve, is another host, or is no FQDN', async () => {
    expect(await codesOf({ options: { '--hostname': 'ca9.example.test' } })).toEqual([
      'hostname-unresolvable',
    ]);
    await sh(
      'ca1',
      "echo '10.1.2.3 other.example.test' >> /etc/hosts; echo '127.0.1.1 loop.example.test' >> /etc/hosts",
    );
    expect(await codesOf({ options: { '--hostname': 'other.example.test' } })).toEqual([
      'hostname-elsewhere',
    ]);
    expect(await codesOf({ options: { '--hostname': 'loop.example.test' } })).toEqual(['hostname-loopback']);
    expect(await codesOf({ options: { '--hostname': 'ca1' } })).toEqual(['hostname-invalid']);
  });

  test('a name server that does not answer', async () => {
    await sh('ca1', "sed -i 's/^hosts:.*/hosts: files dns/' /etc/nsswitch.conf");
    const codes = await codesOf({ options: { '--hostname': 'ca9.example.test' } });
    await sh('ca1', "sed -i 's/^hosts:.*/hosts: files/' /etc/nsswitch.conf");
    expect(codes).toEqual(['resolver-failed']);
  });

  test('a port in use, and the remains of an instance', async () => {
    await sh('ca1', 'systemd-run --quiet --unit=occupant python3 -m http.server 8080; sleep 1');
    expect(await codesOf({})).toEqual(['ports-in-use']);
    await sh('ca1', 'systemctl stop occupant; mkdir -p /etc/pki/pki-tomcat');
    expect(await codesOf({})).toEqual(['already-installed']);
    await sh('ca1', 'rmdir /etc/pki/pki-tomcat');
  });

  test('a program that is not installed', async () => {
    await sh('ca1', 'mv /usr/sbin/dscreate /root/');
    const [found] = await refused({});
    await sh('ca1', 'mv /root/dscreate /usr/sbin/');
    expect(found).toMatchObject({ code: 'programs-missing', message: expect.stringContaining('dscreate') });
  });

  test('a file system that is nearly full', async () => {
    await sh('ca1', 'mkdir -p /var/log/pki; mount -t tmpfs -o size=10m tmpfs /var/log/pki');
    const [found] = await refused({});
    await sh('ca1', 'umount /var/log/pki');
    expect(found).toMatchObject({ code: 'disk-too-small', message: expect.stringContaining('/var/log/pki') });
  });

  test('an unsupported Dogtag', async () => {
    await sh(
      'ca1',
      'cp -a /usr/share/pki/VERSION /root/VERSION; sed -i s/10.10.2/10.6.0/ /usr/share/pki/VERSION',
    );
    expect(await codesOf({})).toContain('dogtag-unsupported');
    await sh('ca1', 'mv /root/VERSION /usr/share/pki/VERSION');
  });

  test('a user who is not root', async () => {
    const as = ['setpriv', '--reuid=nobody', '--regid=nogroup', '--clear-groups'];
    const result = await inHost(
      'ca1',
      [...as, 'capstan', 'server-install', '--unattended', '--output', 'json'],
      { accept: [2] },
    );
    expect(lastEvent(result.stdout)).toMatchObject({ code: 'not-root' });
  });
});

describe('the request', () => {
  test('an override that takes a key of Capstan, in any section', async () => {
    for (const section of ['DEFAULT', 'CA']) {
      await sh(
        'ca1',
        `printf '[${section}]\\npki_token_name=internal\\npki_ca_signing_key_size=4096\\n' > /run/override.cfg`,
      );
      const [found] = await refused({ extra: ['--pki-config-override', '/run/override.cfg'] });
      expect(found).toMatchObject({
        code: 'override-owned',
        message: expect.stringContaining('pki_token_name'),
      });
    }
    await sh('ca1', `printf '[Nonsense\npki_x' > /run/override.cfg`);
    expect(await codesOf({ extra: ['--pki-config-override', '/run/override.cfg'] })).toEqual([
      'config-syntax',
    ]);
    expect(await codesOf({ extra: ['--pki-config-override', 'override.cfg'] })).toEqual([
      'override-path-invalid',
    ]);
    expect(await codesOf({ extra: ['--pki-config-override', '/run/none.cfg'] })).toEqual([
      'override-missing',
    ]);
  });

  test('secrets: both forms, a readable file, two lines, none', async () => {
    expect(await codesOf({ extra: ['--token-password', 'x'] })).toEqual(['secret-given-twice']);
    await sh(
      'ca1',
      'echo a-password > /run/open; chmod 644 /run/open; printf "one-pass\\ntwo-pass\\n" > /run/two; chmod 600 /run/two',
    );
    expect(await codesOf({ options: { '--ds-password-file': '/run/open' } })).toEqual([
      'secret-file-exposed',
    ]);
    expect(await codesOf({ options: { '--ds-password-file': '/run/two' } })).toEqual([
      'secret-file-unusable',
    ]);
    expect(await codesOf({ options: { '--ds-password-file': undefined } })).toEqual(['secrets-missing']);
  });

  test('all that is wrong is reported together', async () => {
    await sh('ca1', 'mkdir -p /var/lib/pki/pki-tomcat');
    const codes = await codesOf({ options: { '--hostname': 'ca9.example.test', '--token-name': 'nowhere' } });
    await sh('ca1', 'rmdir /var/lib/pki/pki-tomcat');
    expect(codes.toSorted()).toEqual(['already-installed', 'hostname-unresolvable', 'token-not-found']);
  });

  test('secrets come from systemd, too', async () => {
    const options = await installOptions({
      '--token-password-file': undefined,
      '--ds-password-file': undefined,
      '--admin-password-file': undefined,
    });
    const credentials = ['token-password', 'ds-password', 'admin-password'].flatMap((name) => [
      '-p',
      `LoadCredential=${name}:${VALUES}/${name}`,
    ]);
    const argv = [
      'systemd-run',
      '--quiet',
      '--wait',
      '--pipe',
      ...credentials,
      'capstan',
      'server-install',
      '--unattended',
      '--dry-run',
      '--output',
      'json',
      ...options,
    ];
    expect(lastEvent((await inHost('ca1', argv)).stdout)).toMatchObject({ type: 'result' });
  });

  test('one secret can come from standard input', async () => {
    const argv = [
      'capstan',
      'server-install',
      '--unattended',
      '--dry-run',
      '--output',
      'json',
      ...(await installOptions({ '--token-password-file': '-' })),
    ];
    const result = await inHost('ca1', argv, { input: await value('token-password') });
    expect(lastEvent(result.stdout)).toMatchObject({ type: 'result' });
  });

  test('nothing is wrong: a dry run changes nothing and ends well', async () => {
    const before = await inventory();
    const result = await inHost('ca1', [
      'capstan',
      'server-install',
      '--unattended',
      '--dry-run',
      '--output',
      'json',
      ...(await installOptions()),
    ]);
    expect(lastEvent(result.stdout)).toMatchObject({ type: 'result' });
    expect(await inventory()).toBe(before);
  });
});
