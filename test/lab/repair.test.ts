/**
 * Two servers with a KRA each wake up three years later: nothing of Dogtag starts, and "capstan repair" gets one after the
 * other back. Judged by pkcs11-tool, getcert, curl, ldapsearch and Dogtag's own client, and in the end by Capstan's looks.
 */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sleepDays } from './clock.ts';
import { issue } from './cluster/certificates.ts';
import { capstan, fqdn, killed, ldapsearch, refusal, succeeds, until, valuesOf } from './cluster/hosts.ts';
import { expectGood, expectReplicated } from './cluster/proofs.ts';
import { archive, makeClient, recover } from './cluster/recovery.ts';
import { PLACES_OF_SECRETS, secretsOf } from './cluster/remains.ts';
import { codesOf, findings } from './health/fault.ts';
import { keyIds } from './nss.ts';
import { readyLab } from './ready.ts';
import { sampled, samplesWith, samplesWithSecret } from './sampler.ts';
import { holdersOf, removeLab, SECRETS, sh, unwell, VALUES } from './support.ts';

const HOSTS = ['ca1', 'ca2'] as const;
const DAYS = 3 * 365 + 1;
/** Days for which Dogtag certifies a key of its own. */
const VALID = 720;
/** Seconds for a repair, with three starts of Dogtag in it. */
const REPAIRED = { deadline: 1200 };
/** Seconds for a Dogtag that starts to give up. */
const GIVEN_UP = 180;
/** The settings of a CS.cfg that a repair changes for its time. */
const STRICT = 'internaldb.ldapconn.port|internaldb.ldapconn.secureConn|selftests.container.order.startup';

/** The password of the internal token, which the installation generated, as a file beside the rehearsal's secrets. */
const INTERNAL = 'internal-password';

let keysBefore: string;
let settingsBefore: string[];
let keyId: string;
const secret = randomBytes(32).toString('base64');

async function settings(): Promise<string[]> {
  const read = (host: string) => sh(host, `grep -hE '^(${STRICT})=' /etc/pki/pki-tomcat/{ca,kra}/CS.cfg`);
  return Promise.all(HOSTS.map(read));
}

/** Has the password of the internal token lie where the rehearsal's secrets are. */
async function keepInternal(host: string): Promise<void> {
  const read = 'sed -n s/^internal=//p /etc/pki/pki-tomcat/password.conf';
  await sh(host, `umask 077; ${read} > ${VALUES}/${INTERNAL}; test -s ${VALUES}/${INTERNAL}`);
}

/** The private folders of processes that are gone: what is in them need not be a secret that is known here. */
function abandoned(host: string): Promise<string> {
  return sh(
    host,
    `shopt -s nullglob
     for folder in {/run,/dev/shm}/capstan-[0-9]*-*; do
       run=\${folder##*/capstan-}; test -d /proc/\${run%%-*} || echo $folder
     done`,
  );
}

/** Each request of certmonger: its state, its CA's error and the year in which its certificate ends. */
async function tracked(host: string): Promise<string[]> {
  const listed = await sh(host, 'getcert list');
  return listed
    .split(/^Request ID/m)
    .slice(1)
    .map((request) => {
      const one = (name: string) => new RegExp(`^\\t${name}: (.*)$`, 'm').exec(request)?.[1] ?? '';
      return [one('status'), one('ca-error'), one('expires').slice(0, 4)].filter(Boolean).join(' ');
    });
}

beforeAll(async () => {
  await readyLab('two-kra');
  [keysBefore, settingsBefore] = [await keyIds('ca1'), await settings()];
  await makeClient('ca1');
  keyId = await archive('ca1', 'before', secret);
  for (const host of HOSTS) await keepInternal(host);
  await sleepDays(HOSTS, DAYS);
});

afterAll(removeLab);

describe('after three years', () => {
  test('no CA answers', async () => {
    for (const host of HOSTS) {
      const url = `http://${fqdn(host)}:8080/ca/admin/ca/getStatus`;
      const look = () => sh(host, `curl -s -m 30 -o /dev/null -w '%{http_code}' ${url} || true`);
      const { found } = await until(GIVEN_UP, look, (code) => code === '404');
      expect([host, found]).toEqual([host, '404']);
    }
  });

  test('the server that renews for all is the first to be repaired', async () => {
    const { exit, last } = await capstan('ca2', ['repair', '--unattended']);
    expect([exit, last.failures?.map(({ code }) => code)]).toEqual([2, ['other-server-first']]);
    const { events } = await succeeds('ca1', ['repair', '--dry-run']);
    expect(events.find(({ type }) => type === 'plan')?.steps?.length).toBeGreaterThan(5);
    expect(await settings()).toEqual(settingsBefore);
  });

  test('a repair that is killed is gone on with, and nobody else touches the server before', async () => {
    await sampled('ca1', async () => {
      await killed('ca1', ['repair', '--unattended'], '"step-started","id":"agent"', 0.5);
      expect((await capstan('ca1', ['restart'])).last.code).toBe('unfinished-repair');
      await succeeds('ca1', ['repair', '--unattended'], REPAIRED);
    });
    const people = await ldapsearch('ca1', 'ou=people,o=ipaca', "'(uid=capstan-repair*)' uid");
    expect(valuesOf(people, 'uid')).toEqual([]);
  });

  test('the other server takes over what all share', async () => {
    await sampled('ca2', () => succeeds('ca2', ['repair', '--unattended'], REPAIRED));
    expect(await refusal('ca2', ['repair', '--unattended'])).toMatchObject({
      failures: [{ code: 'nothing-expired' }],
    });
  });

  test('no secret was in any command line or environment, nor is it in any log or file', async () => {
    for (const host of HOSTS) {
      expect([host, await samplesWith(host, 'certutil')]).not.toEqual([host, 0]);
      for (const one of [...SECRETS, INTERNAL])
        expect([host, one, await samplesWithSecret(host, one)]).toEqual([host, one, 0]);
      expect([host, await secretsOf(host)]).toEqual([host, PLACES_OF_SECRETS]);
      expect([host, await holdersOf(host, `${VALUES}/${INTERNAL}`)]).toEqual([
        host,
        PLACES_OF_SECRETS['token-password'],
      ]);
      expect([host, await abandoned(host)]).toEqual([host, '']);
    }
  });
});

describe('the repaired cluster', () => {
  test('has the keys that it had, and is as strict', async () => {
    expect(await keyIds('ca1')).toBe(keysBefore);
    expect(await settings()).toEqual(settingsBefore);
  });

  test('has new certificates that certmonger watches', async () => {
    const year = String(new Date(Date.now() + (DAYS + VALID) * 86_400_000).getUTCFullYear());
    for (const host of HOSTS) {
      const requests = await tracked(host);
      expect(requests).toHaveLength(8);
      // The CA's own is good for twenty years.
      expect(requests.filter((one) => one === `MONITORING ${year}`)).toHaveLength(7);
      expect([host, await unwell(host)]).toEqual([host, []]);
    }
  });

  test('issues, signs, replicates, and recovers what was archived before', async () => {
    const issued = await Promise.all(HOSTS.map((host) => issue(host)));
    await expectGood(issued.flat(), HOSTS);
    await expectReplicated(HOSTS);
    for (const host of HOSTS) {
      await makeClient(host);
      expect(await recover(host, keyId)).toBe(secret);
    }
  });

  test('has no fault but a clock that nobody sets', async () => {
    for (const host of HOSTS) {
      expect([host, codesOf(await findings(host))]).toEqual([host, ['clock-unsynchronised']]);
    }
  });
});
