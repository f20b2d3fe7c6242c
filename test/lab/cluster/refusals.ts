/** What `replica-install` refuses on a real host beside a real first server, with nothing changed on either. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { changes as changed, RUN_LOG, snapshot } from '../bad-input/driver.ts';
import { putModule, sh, VALUES, value } from '../support.ts';
import { inTerminal } from '../terminal.ts';
import {
  type ClusterRun,
  capstan,
  cut,
  fqdn,
  heal,
  joinWords,
  ldapmodify,
  ldapsearch,
  type Options,
  valuesOf,
} from './hosts.ts';
import { peerState } from './peers.ts';

const RECORD = 'cn=ipa,cn=cas,cn=ca,dc=example,dc=test';
const BAD = '/srv/bad';
/** The run's log, what SoftHSM writes into a token at each login, and libfaketime's memory. */
const NOT_CAPSTANS = new RegExp(
  `${RUN_LOG.source}|^disk/srv/.*/(token\\.(object|lock)|generation)$|^/dev/shm/(sem\\.)?faketime_`,
);

/** Words before `capstan`: another clock, another user. */
interface Around {
  more?: readonly string[];
  as?: readonly string[];
}

/** Runs an installation on the second host that must be refused. @returns its failures, or its one error */
async function refused(
  changes: Options,
  { more = [], as = [] }: Around = {},
): Promise<NonNullable<ClusterRun['last']['failures']>> {
  const [host, peer] = [await snapshot('ca2'), await peerState('ca1')];
  const run = await capstan('ca2', joinWords(changes, ...more), { as, deadline: 180 });
  const { last } = run;
  expect([run.exit, last.type, run.output]).toEqual([2, 'error', expect.anything()]);
  const traces = changed(host, await snapshot('ca2')).filter((path) => !NOT_CAPSTANS.test(path));
  expect(traces).toEqual([]);
  expect(await peerState('ca1')).toEqual(peer);
  const told = last.failures?.length ? last.failures : [{ code: '', message: '', ...last }];
  return told.map(({ code, message, next }) => ({ code, message, ...(next && { next }) }));
}

/** One refusal for one reason, told with what is wrong and what to do. */
async function expectRefusal(
  changes: Options,
  code: string,
  names: string,
  around: Around = {},
): Promise<void> {
  const failures = await refused(changes, around);
  expect(failures).toEqual([
    { code, message: expect.stringContaining(names), next: expect.stringMatching(/\S/) },
  ]);
}

/** The record of the HSM in the directory of the first server. */
async function withRecord(record: string | undefined, work: () => Promise<void>): Promise<void> {
  const good = `${await value('token-name')};${await value('library-path')}`;
  const put = (value: string | undefined) =>
    ldapmodify(
      'ca1',
      `dn: ${RECORD}\nchangetype: modify\n${value === undefined ? 'delete' : 'replace'}: ipaCaHSMConfiguration\n${
        value === undefined ? '' : `ipaCaHSMConfiguration: ${value}\n`
      }-\n`,
    );
  await put(record);
  try {
    await work();
  } finally {
    await put(good);
  }
}

/** A token of SoftHSM besides the cluster's: its label and PIN, and what is done to it. @returns the library that shows it alone */
async function otherToken(name: string, script: string): Promise<string> {
  const folder = `/srv/${name}`;
  await sh(
    'ca2',
    `mkdir -m 755 ${folder} ${folder}/tokens
     printf 'directories.tokendir = ${folder}/tokens\\nobjectstore.backend = file\\n' > ${folder}/softhsm2.conf
     export SOFTHSM2_CONF=${folder}/softhsm2.conf
     pin=$(cat ${VALUES}/token-password) label=$(cat ${VALUES}/token-name) library=$(cat ${VALUES}/library-path) folder=${folder}
     ${script}
     chown -R pkiuser:softhsm ${folder}/tokens; chmod -R g+rX ${folder}/tokens`,
  );
  const settings = { SHIM_LIBRARY: await value('library-path'), SOFTHSM2_CONF: `${folder}/softhsm2.conf` };
  return putModule('ca2', `${name}.so`, { source: 'shim', settings });
}

const SAME_NAME =
  'softhsm2-util --init-token --free --label "$label" --pin "$pin" --so-pin "$pin" > /dev/null';
const COPY = 'cp -a /var/lib/softhsm/tokens/. $folder/tokens/';

/** Registers the tests. The hosts are there, the first is a server, the second blank. */
export function refusalTests(fingerprint: () => string): void {
  describe('before anything changes', () => {
    beforeAll(async () => {
      await sh(
        'ca2',
        `umask 077; mkdir ${BAD}
         openssl req -x509 -newkey rsa:2048 -nodes -keyout ${BAD}/other.key -out ${BAD}/other.crt -days 30 -subj '/O=EXAMPLE.TEST/CN=Certificate Authority' 2>/dev/null
         echo wrong-Passw0rd-2026 > ${BAD}/wrong`,
      );
    });
    // The tests give passwords to tools of SoftHSM as arguments, which the journal keeps with their messages.
    afterAll(() => sh('ca2', `rm -rf ${BAD}; journalctl --rotate; sleep 1; journalctl -q --vacuum-time=1s`));

    test('all that is good is found good, and a rehearsal changes nothing', async () => {
      const before = [await snapshot('ca2'), await peerState('ca1')] as const;
      const { exit, output } = await capstan('ca2', joinWords({}, '--dry-run'), { deadline: 180 });
      expect([exit, output]).toEqual([0, expect.anything()]);
      expect(changed(before[0], await snapshot('ca2')).filter((path) => !NOT_CAPSTANS.test(path))).toEqual(
        [],
      );
      expect(await peerState('ca1')).toEqual(before[1]);
    });

    test('a person is asked for passwords alone, and shown whom to trust', async () => {
      const command = ['capstan', 'replica-install', '--server', fqdn('ca1'), '--dry-run'];
      const typed = async (name: string) => `${(await value(name)).trim()}\r`;
      const passwords = [
        ['Directory Manager password:', await typed('ds-password')],
        ['Token password:', await typed('token-password')],
      ] as const;
      const question = 'Is it the same (yes or no)';
      const yes = await inTerminal('ca2', command, [...passwords, [question, 'yes\r']]);
      expect([yes.exit, yes.output]).toEqual([0, expect.stringContaining(fingerprint())]);
      const no = await inTerminal('ca2', command, [...passwords, [question, 'no\r']]);
      expect([no.exit, no.output]).toEqual([2, expect.stringContaining(fingerprint())]);
    });

    test('another fingerprint than that of the CA', () =>
      expectRefusal(
        {
          '--ca-cert-file': undefined,
          '--ca-fingerprint': fingerprint().replace(/.$/, (last) => (last === '0' ? '1' : '0')),
        },
        'ca-fingerprint-mismatch',
        fingerprint(),
      ));

    test('the certificate of another CA of the same name', () =>
      expectRefusal({ '--ca-cert-file': `${BAD}/other.crt` }, 'directory-untrusted', fqdn('ca1')));

    test('nothing to trust the server by', () =>
      expectRefusal({ '--ca-cert-file': undefined }, 'option-missing', '--ca-fingerprint'));

    test('a wrong password of the Directory Manager', () =>
      expectRefusal({ '--ds-password-file': `${BAD}/wrong` }, 'directory-credentials-refused', fqdn('ca1')));

    test('a join secret that nobody gave out', () =>
      expectRefusal({ '--join-secret-file': `${BAD}/wrong` }, 'join-secret-refused', fqdn('ca1')));

    test('a host where nobody listens, and one that there is not', async () => {
      await expectRefusal({ '--server': fqdn('ca3') }, 'directory-unreachable', fqdn('ca3'));
      await expectRefusal({ '--server': fqdn('nowhere') }, 'directory-unreachable', fqdn('nowhere'));
    });

    test('a server to which the network is cut, within the deadline', async () => {
      await cut('ca1', 'ca2');
      try {
        const begun = performance.now();
        const { exit, last } = await capstan('ca2', joinWords({}, '--deadline', 'ldap=5'), { deadline: 120 });
        expect([exit, last.code]).toEqual([
          2,
          expect.stringMatching(/directory-unreachable|preflight-failed/),
        ]);
        expect(performance.now() - begun).toBeLessThan(45_000);
      } finally {
        await heal('ca1', 'ca2');
      }
    });

    test('a clock that is not the server’s', async () => {
      const clock = ['env', 'LD_PRELOAD=/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1'];
      const as = [...clock, 'FAKETIME_DONT_FAKE_MONOTONIC=1', 'FAKETIME=+5m'];
      await expectRefusal({}, 'clock-skew', fqdn('ca1'), { as });
    });

    test('another token than the recorded one', async () =>
      expectRefusal({ '--token-name': 'other-token' }, 'token-name-differs', await value('token-name')));

    test('a library that is not there, which overrides the recorded one', () =>
      expectRefusal({ '--library-path': '/usr/lib/none.so' }, 'module-missing', '/usr/lib/none.so'));

    test('a wrong PIN, tried once', () =>
      expectRefusal({ '--token-password-file': `${BAD}/wrong` }, 'pin-incorrect', 'PIN'));

    test('a domain without the record, whose CA is not on an HSM', () =>
      withRecord(undefined, () => expectRefusal({}, 'hsm-record-missing', 'HSM')));

    test('a record that is none, which is shown', () =>
      withRecord('capstan-hsm', () => expectRefusal({}, 'hsm-record-malformed', 'capstan-hsm')));

    test('replica ids that are used up', async () => {
      const counter = 'cn=replication,cn=etc,dc=example,dc=test';
      const set = (id: string) =>
        ldapmodify(
          'ca1',
          `dn: ${counter}\nchangetype: modify\nreplace: nsDS5ReplicaId\nnsDS5ReplicaId: ${id}\n`,
        );
      const [next = ''] = valuesOf(await ldapsearch('ca1', counter, 'nsDS5ReplicaId'), 'nsDS5ReplicaId');
      await set('65535');
      try {
        await expectRefusal({}, 'replica-ids-used-up', '65534');
      } finally {
        await set(next);
      }
    });

    test('a release of Dogtag that is too old', async () => {
      const file = '/usr/share/pki/VERSION';
      await sh('ca2', `cp -a ${file} ${BAD}/VERSION; sed -i 's/10\\.10\\.[0-9]*/10.9.4/' ${file}`);
      try {
        await expectRefusal({}, 'dogtag-unsupported', '10.9.4');
      } finally {
        await sh('ca2', `cp -a ${BAD}/VERSION ${file}`);
      }
    });

    test('another token of the same name, told by the serial numbers', async () => {
      const library = await otherToken('same-name', SAME_NAME);
      const failures = await refused({ '--library-path': library });
      const serial = await sh(
        'ca2',
        `pkcs11-tool --module ${library} -L 2>/dev/null | sed -n 's/.*serial num *: *//p' | head -n 1`,
      );
      expect(JSON.stringify(failures)).toContain(serial.trim());
    });

    test('the cluster’s token without one of its keys, which is named', async () => {
      const library = await otherToken(
        'lacking',
        `${COPY}
         id=$(pkcs11-tool --module $library --token-label "$label" --login --pin "$pin" -O --type privkey 2>/dev/null | grep -A2 ocspSigning | sed -n 's/ *ID: *//p' | head -n 1)
         pkcs11-tool --module $library --token-label "$label" --login --pin "$pin" --delete-object --type privkey --id $id > /dev/null 2>&1`,
      );
      const failures = await refused({ '--library-path': library });
      const told = JSON.stringify(failures);
      expect(told).toContain('ocspSigningCert cert-pki-ca');
      expect(told).not.toContain('subsystemCert cert-pki-ca');
    });

    test('a copy of the cluster’s token under another library is good, and the record stays', async () => {
      const library = await otherToken('copy', COPY);
      const { exit, output } = await capstan('ca2', joinWords({ '--library-path': library }, '--dry-run'), {
        deadline: 180,
      });
      expect([exit, output]).toEqual([0, expect.anything()]);
    });

    test('a server that is one already', async () => {
      const words = joinWords({ '--server': fqdn('ca2'), '--ca-cert-file': '/etc/capstan/ca.crt' });
      const { exit, last } = await capstan('ca1', words, { deadline: 180 });
      expect([exit, last.type]).toEqual([2, 'error']);
    });

    test('itself', () => expectRefusal({ '--server': fqdn('ca2') }, 'server-is-this-host', fqdn('ca2')));

    test('replica-prepare for who is a server, is no name, or is not known', async () => {
      for (const host of [fqdn('ca1'), 'ca2', fqdn('nowhere')]) {
        const { exit, last } = await capstan('ca1', ['replica-prepare', host], { deadline: 120 });
        expect([host, exit, last.type]).toEqual([host, 2, 'error']);
      }
    });
  });
}
