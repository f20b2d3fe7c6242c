/**
 * What may befall a renewal: processes killed, power cut, the directory or the HSM away, another PIN. Each time certmonger
 * has the certificate renewed for the same key, and all is in place, after what the timer does; judged by certmonger,
 * CS.cfg, pkcs11-tool and the server's own state.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fqdn, power, succeeds, until } from './cluster/hosts.ts';
import {
  configured,
  requests,
  SHARED,
  serialOf,
  tokenObjects,
  tracked,
  type Words,
} from './cluster/renewals.ts';
import { codesOf, findings } from './health/fault.ts';
import { readyLab } from './ready.ts';
import { removeLab, sh, unwell, VALUES } from './support.ts';

const HOST = 'ca1';
const OCSP = 'ocspSigningCert cert-pki-ca';
const SUBSYSTEM = 'subsystemCert cert-pki-ca';
const AUDIT = 'auditSigningCert cert-pki-ca';
/** What certmonger calls their requests. */
const IDS: Words = {
  [OCSP]: 'capstan-ca-ocsp-signing',
  [SUBSYSTEM]: 'capstan-subsystem',
  [AUDIT]: 'capstan-ca-audit-signing',
};
const CA_ONLY = SHARED.filter((nickname) => nickname.endsWith('-ca'));
const SERVICE = 'capstan-renewal.service';
const DOGTAG = 'pki-tomcatd@pki-tomcat';
const TOKENS = '/var/lib/softhsm/tokens';
/** Seconds for a renewal with a restart of Dogtag. */
const RENEWED = { deadline: 300 };

let begin: { serials: Words; keys: Words };
let objects: Awaited<ReturnType<typeof tokenObjects>>;

beforeAll(async () => {
  await readyLab('one');
  begin = await configured(HOST, CA_ONLY);
  objects = await tokenObjects(HOST);
});

afterAll(removeLab);

/** Has certmonger renew one, as it does when its end comes near, and goes on at once. */
function renewalBegins(nickname: string): Promise<string> {
  return sh(HOST, `getcert resubmit -i ${IDS[nickname]}`);
}

/** What the timer does within the hour, and what certmonger asks for when it has saved a certificate. */
function timerActs(): Promise<string> {
  return sh(HOST, `systemctl start ${SERVICE}`, RENEWED);
}

async function requestOf(nickname: string) {
  const found = (await requests(HOST)).find((one) => one.nickname === nickname);
  if (!found) throw new Error(`certmonger does not watch ${nickname}.`);
  return found;
}

/** Waits until certmonger says something of a request. */
async function untilRequest(
  nickname: string,
  isSo: (request: Awaited<ReturnType<typeof requestOf>>) => boolean,
): Promise<void> {
  const { found } = await until(120, () => requestOf(nickname), isSo);
  expect([nickname, found, isSo(found)]).toEqual([nickname, found, true]);
}

/** That one certificate is renewed and in place, once, with its key, and that nothing else came of it. */
async function expectRenewed(nickname: string, before: Words): Promise<void> {
  const after = await tracked(HOST);
  expect(after[nickname]).not.toBe(before[nickname]);
  expect(after).toEqual({ ...before, [nickname]: after[nickname] });
  const { serials, keys } = await configured(HOST, CA_ONLY);
  expect(serials[nickname]).toBe(after[nickname]);
  expect(keys).toEqual(begin.keys);
  const now = await tokenObjects(HOST);
  expect(now.keys).toEqual(objects.keys);
  expect(now.certificates).toHaveLength(objects.certificates.length);
  expect(await unwell(HOST)).toEqual([]);
  expect(codesOf(await findings(HOST)).filter((code) => code !== 'clock-unsynchronised')).toEqual([]);
}

test('a helper that is killed before it answered is asked again', async () => {
  const before = await tracked(HOST);
  const killed = await sh(
    HOST,
    `getcert resubmit -i ${IDS[OCSP]} > /dev/null
     for try in {1..2000}; do
       for pid in $(pgrep -f 'renewal-helper'); do
         if tr '\\0' '\\n' < /proc/$pid/environ 2>/dev/null | grep -qx CERTMONGER_OPERATION=SUBMIT; then
           kill -KILL $pid && echo killed && exit
         fi
       done
     done`,
    { deadline: 60 },
  );
  expect(killed).toBe('killed\n');
  await untilRequest(
    OCSP,
    ({ status }) => !/^(?:SUBMITTING|GENERATING|READING|NEWLY|HAVE|START)/.test(status),
  );
  expect(serialOf((await requestOf(OCSP)).serial)).toBe(before[OCSP]);
  await timerActs();
  await expectRenewed(OCSP, before);
});

test('a placement that is killed while Dogtag is down is taken up again', async () => {
  const before = await tracked(HOST);
  await renewalBegins(SUBSYSTEM);
  const killed = await sh(
    HOST,
    `for try in {1..600}; do
       if [ "$(systemctl is-active ${DOGTAG})" = inactive ]; then
         systemctl kill --signal=KILL ${SERVICE}; echo killed; exit
       fi
       sleep 0.1
     done`,
    { deadline: 120 },
  );
  expect(killed).toBe('killed\n');
  const { found } = await until(
    20,
    () => sh(HOST, `systemctl is-active ${SERVICE} ${DOGTAG} || true`),
    (states) => states === 'failed\ninactive\n',
  );
  expect(found).toBe('failed\ninactive\n');
  await timerActs();
  await expectRenewed(SUBSYSTEM, before);
});

test('a certificate that was not in place yet when the power went is put there; until then the CA works', async () => {
  const before = await tracked(HOST);
  await sh(HOST, `systemctl mask --runtime ${SERVICE}`);
  await renewalBegins(AUDIT);
  await untilRequest(
    AUDIT,
    ({ status, serial }) => status === 'MONITORING' && serialOf(serial) !== before[AUDIT],
  );
  expect((await configured(HOST, [AUDIT])).serials[AUDIT]).toBe(before[AUDIT]);
  await power(HOST, 'kill');
  await power(HOST, 'on');
  const works = `curl -sf --cacert /etc/capstan/ca.crt https://${fqdn(HOST)}:8443/ca/admin/ca/getStatus | grep -q running && openssl ocsp -issuer /etc/capstan/ca.crt -cert /var/lib/capstan/ra-agent.pem -CAfile /etc/capstan/ca.crt -url http://${fqdn(HOST)}:8080/ca/ocsp 2>&1 | grep -c ': good' || true`;
  const { found } = await until(
    180,
    () => sh(HOST, works),
    (count) => count === '1\n',
  );
  expect(found).toBe('1\n');
  expect(codesOf(await findings(HOST))).toContain('renewal-unplaced');
  await timerActs();
  await expectRenewed(AUDIT, before);
});

test('with the directory away certmonger waits for its CA, and goes on when it is back', async () => {
  const before = await tracked(HOST);
  await sh(HOST, 'systemctl stop dirsrv@EXAMPLE-TEST', RENEWED);
  await renewalBegins(OCSP);
  await untilRequest(OCSP, ({ status }) => status === 'CA_UNREACHABLE');
  await sh(HOST, 'systemctl start dirsrv@EXAMPLE-TEST', RENEWED);
  await succeeds(HOST, ['restart'], RENEWED);
  await timerActs();
  await expectRenewed(OCSP, before);
});

test('with the HSM away nothing is renewed, and it goes on when it is back', async () => {
  const before = await tracked(HOST);
  await sh(HOST, `mount -t tmpfs -o mode=0777 tmpfs ${TOKENS}`);
  await renewalBegins(SUBSYSTEM);
  await untilRequest(SUBSYSTEM, ({ status }) => /^(?:NEED_|CA_)/.test(status));
  await sh(HOST, `umount ${TOKENS}`);
  await succeeds(HOST, ['restart'], RENEWED);
  await timerActs();
  await expectRenewed(SUBSYSTEM, before);
});

test('another PIN, given to Dogtag as the guide says, reaches certmonger, and it renews', async () => {
  const before = await tracked(HOST);
  await sh(
    HOST,
    `systemctl stop certmonger
     cd ${VALUES}; umask 077; old=$(cat token-password); printf %s "$(tr -dc a-zA-Z0-9 < /dev/urandom | head -c 20)" > /root/new
     pkcs11-tool --module "$(cat library-path)" --token-label "$(cat token-name)" --login --pin "$old" --change-pin --new-pin "$(cat /root/new)"
     sed -i "s/^\\(hardware-[^=]*\\)=.*/\\1=$(cat /root/new)/" /etc/pki/pki-tomcat/password.conf
     mv /root/new token-password`,
  );
  await succeeds(HOST, ['restart'], RENEWED);
  await renewalBegins(AUDIT);
  await untilRequest(
    AUDIT,
    ({ status, serial }) => status === 'MONITORING' && serialOf(serial) !== before[AUDIT],
  );
  await timerActs();
  await expectRenewed(AUDIT, before);
});
