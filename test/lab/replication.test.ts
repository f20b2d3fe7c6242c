/** Replication between two directories that dscreate made, without a CA: what src/directory does, on real daemons. */
import { cp, rm, symlink } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  addAgreement,
  agreementDn,
  agreementFor,
  agreementsOf,
  hasReached,
  initialise,
  removeAgreement,
} from '../../src/directory/agreement.ts';
import { addBackend } from '../../src/directory/backend.ts';
import { type Directory, withLocalDirectory } from '../../src/directory/client.ts';
import { renewSentFeeds } from '../../src/directory/feed-keeper.ts';
import { replicaIdDn } from '../../src/directory/identity.ts';
import { allocateReplicaId } from '../../src/directory/replica-id.ts';
import {
  letIn,
  makeSupplier,
  senderDn,
  shutOut,
  supplierId,
  unmakeSupplier,
} from '../../src/directory/replication.ts';
import { proveReplication } from '../../src/directory/replication-proof.ts';
import { cleanRuv, lagBetween, replicasOf, ruvOf } from '../../src/directory/ruv.ts';
import { beginSupplying } from '../../src/directory/supplying.ts';
import { openHost } from '../../src/host/host.ts';
import { noLog } from '../../src/host/log.ts';
import { labRootPath } from '../../src/lab/lab.ts';
import { Secret } from '../../src/secret/secret.ts';
import { cut, fqdn, heal } from './cluster/hosts.ts';
import { freshLab, LAB, removeLab, sh } from './support.ts';

const DOMAIN = 'dc=example,dc=test';
const OTHER = 'o=other';
const HOSTS = ['ca1', 'ca2'] as const;
type Name = (typeof HOSTS)[number];

/** This machine, less patient than an installation is; and the same for what will not come. */
const host = openHost(noLog, undefined, { deadlines: { replication: 45, 'replication-init': 60 } });
const impatient = openHost(noLog, undefined, { deadlines: { replication: 12 } });

/** dscreate's answers. The instance of each host is reached over its socket, which has a name of its own here. */
const ANSWERS = (name: Name) => `
[general]
config_version = 2
full_machine_name = ${fqdn(name)}
strict_host_checking = False
selinux = False
[slapd]
instance_name = EXAMPLE-TEST
root_dn = cn=Directory Manager
root_password = Only4Tests
self_sign_cert = True
[backend-userroot]
suffix = ${DOMAIN}
create_suffix_entry = True
sample_entries = no
`;
const socketName = (name: Name) => `${LAB.toUpperCase()}-${name.toUpperCase()}`;
const socketPath = (name: Name) => `/run/slapd-${socketName(name)}.socket`;

beforeAll(async () => {
  await freshLab({ hosts: HOSTS, bundle: 'none' });
  for (const name of HOSTS) {
    const root = await labRootPath(LAB, name);
    // One self-signed CA for both, so that each trusts the other's TLS certificate.
    if (name !== 'ca1')
      await cp(`${await labRootPath(LAB, 'ca1')}/etc/dirsrv/ssca`, `${root}/etc/dirsrv/ssca`, {
        recursive: true,
      });
    await sh(name, 'cat > /root/ds.inf; dscreate from-file /root/ds.inf', {
      input: ANSWERS(name),
      deadline: 120,
    });
    await rm(socketPath(name), { force: true });
    await symlink(`${root}/run/slapd-EXAMPLE-TEST.socket`, socketPath(name));
  }
});

afterAll(async () => {
  for (const name of HOSTS) await rm(socketPath(name), { force: true });
  await removeLab();
});

/** Works with both directories as their managers. */
function both<T>(work: (one: Directory, two: Directory) => Promise<T>): Promise<T> {
  return withLocalDirectory(host, { name: socketName('ca1') }, (one) =>
    withLocalDirectory(host, { name: socketName('ca2') }, (two) => work(one, two)),
  );
}

const there = (suffix: string) => ({ suffix, sender: fqdn('ca1'), receiver: fqdn('ca2') });
const back = (suffix: string) => ({ suffix, sender: fqdn('ca2'), receiver: fqdn('ca1') });

let drawn = 0;
function password(): Secret {
  drawn += 1;
  return new Secret(`replication-password-${drawn}`, 'password of a test');
}

/** Feeds a suffix both ways. */
async function feed(one: Directory, two: Directory, suffix: string): Promise<void> {
  for (const [from, to, way] of [
    [one, two, there(suffix)],
    [two, one, back(suffix)],
  ] as const) {
    const secret = password();
    await letIn(to, { suffixes: [suffix], sender: way.sender, password: secret });
    await addAgreement(from, { ...way, password: secret });
  }
}

async function proveBoth(one: Directory, two: Directory, suffix: string): Promise<number> {
  const first = await proveReplication(host, one, two, there(suffix));
  return Math.max(first, await proveReplication(host, two, one, back(suffix)));
}

describe('two directories', () => {
  test('draw replica ids of their own, also at the same time', async () => {
    await both(async (one) => {
      await one.add(`cn=etc,${DOMAIN}`, { objectClass: ['top', 'nsContainer'], cn: ['etc'] });
      await one.add(replicaIdDn(DOMAIN), {
        objectClass: ['top', 'nsDS5Replica'],
        cn: ['replication'],
        nsDS5ReplicaRoot: [DOMAIN],
        nsDS5ReplicaId: ['3'],
      });
      await makeSupplier(one, DOMAIN, 3);
      const ids = await Promise.all([1, 2, 3].map(() => allocateReplicaId(one, DOMAIN)));
      expect(ids.toSorted()).toEqual([4, 5, 6]);
    });
  });

  test('become suppliers, once, and only of what they serve', async () => {
    await both(async (one, two) => {
      await makeSupplier(one, DOMAIN, 3);
      await makeSupplier(two, DOMAIN, 4);
      expect([await supplierId(one, DOMAIN), await supplierId(two, DOMAIN)]).toEqual([3, 4]);
      await expect(makeSupplier(two, DOMAIN, 5)).rejects.toMatchObject({ code: 'replica-id-differs' });
      await expect(makeSupplier(two, OTHER, 4)).rejects.toMatchObject({ code: 'suffix-missing' });
    });
  });

  test('send nothing before one is initialised, then all that is written, both ways, within seconds', async () => {
    await both(async (one, two) => {
      await feed(one, two, DOMAIN);
      await expect(initialise(host, one, there(DOMAIN), () => {})).resolves.toBeUndefined();
      expect(await two.entry(replicaIdDn(DOMAIN), ['1.1'])).toBeDefined();
      expect(await proveBoth(one, two, DOMAIN)).toBeLessThan(10);
      expect(await agreementsOf(one)).toMatchObject([
        { suffix: DOMAIN, receiver: fqdn('ca2'), enabled: true, initialised: true, lastUpdate: { ok: true } },
      ]);
    });
  });

  test('replicate a further suffix with an account of its own, and the first one still', async () => {
    await both(async (one, two) => {
      for (const [directory, id] of [
        [one, 3],
        [two, 4],
      ] as const) {
        await addBackend(directory, 'other', OTHER);
        await addBackend(directory, 'other', OTHER);
        await makeSupplier(directory, OTHER, id);
      }
      await one.add(OTHER, { objectClass: ['top', 'organization'], o: ['other'] });
      await feed(one, two, OTHER);
      await initialise(host, one, there(OTHER), () => {});
      for (const suffix of [DOMAIN, OTHER]) expect(await proveBoth(one, two, suffix)).toBeLessThan(20);
    });
  });

  test('say in their own words that a password is wrong, and are repaired by a new one', async () => {
    await both(async (one, two) => {
      const password = new Secret('not-the-password', 'wrong password');
      await addAgreement(one, { ...there(DOMAIN), sender: fqdn('ca1'), password });
      await expect(proveReplication(impatient, one, two, there(DOMAIN))).rejects.toMatchObject({
        code: 'replication-unproven',
        message: expect.stringContaining('Invalid credentials'),
      });
      await feed(one, two, DOMAIN);
      expect(await proveBoth(one, two, DOMAIN)).toBeLessThan(30);
      expect(await proveBoth(one, two, OTHER)).toBeLessThan(30);
    });
  });

  test('begin anew without another copy, and send what is written since', async () => {
    await both(async (one, two) => {
      const copied = async () =>
        (await one.entry(agreementDn(there(DOMAIN)), ['nsds5replicaLastInitStart']))?.values(
          'nsds5replicaLastInitStart',
        );
      const before = await copied();
      expect(await renewSentFeeds(one, new Map())).toContainEqual({
        suffix: DOMAIN,
        receiver: fqdn('ca2'),
      });
      expect(await proveBoth(one, two, DOMAIN)).toBeLessThan(20);
      expect(await copied()).toEqual(before);
      expect(await agreementsOf(one)).toMatchObject([{ enabled: true }, { enabled: true }]);
    });
  });

  test('cut from each other tell what each misses, and have all of it soon after', async () => {
    await both(async (one, two) => {
      const mark = (at: Directory, name: string) =>
        at.add(`cn=${name},${DOMAIN}`, { objectClass: ['top', 'applicationProcess'], cn: [name] });
      const lags = async () => {
        const [first, second] = [await ruvOf(one, DOMAIN), await ruvOf(two, DOMAIN)];
        if (!first || !second) throw new Error('a suffix is not replicated');
        return [lagBetween(first, second), lagBetween(second, first)].map((lag) =>
          lag.map(({ supplier }) => supplier),
        );
      };
      await cut('ca1', 'ca2');
      try {
        await mark(one, 'of-ca1');
        await mark(two, 'of-ca2');
        await sleep(5000);
        expect(await lags()).toEqual([[3], [4]]);
      } finally {
        await heal('ca1', 'ca2');
      }
      await expect.poll(lags, { timeout: 90_000, interval: 500 }).toEqual([[], []]);
      expect(await two.entry(`cn=of-ca1,${DOMAIN}`, ['1.1'])).toBeDefined();
      expect(await one.entry(`cn=of-ca2,${DOMAIN}`, ['1.1'])).toBeDefined();
    });
  });

  test('shut out in one suffix cannot send that one, and still send the other', async () => {
    await both(async (one, two) => {
      await shutOut(two, { suffixes: [OTHER], sender: fqdn('ca1') });
      const account = (suffix: string) => two.entry(senderDn(fqdn('ca1'), suffix), ['1.1']);
      expect(await account(OTHER)).toBeUndefined();
      expect(await account(DOMAIN)).toBeDefined();
      expect(await proveReplication(host, one, two, there(DOMAIN))).toBeLessThan(30);
      await expect(proveReplication(impatient, one, two, there(OTHER))).rejects.toMatchObject({
        code: 'replication-unproven',
        message: expect.stringMatching(/permission|credentials|No such object/i),
      });
      await shutOut(two, { suffixes: [DOMAIN, OTHER], sender: fqdn('ca1') });
      await shutOut(two, { suffixes: [DOMAIN, OTHER], sender: fqdn('ca1') });
      expect(await account(DOMAIN)).toBeUndefined();
    });
  });
});

describe('a server that leaves', () => {
  test('takes nothing with it, and its peer forgets it', async () => {
    await both(async (one, two) => {
      for (const suffix of [DOMAIN, OTHER]) {
        await removeAgreement(one, there(suffix));
        await removeAgreement(one, there(suffix));
        await unmakeSupplier(two, suffix);
        await unmakeSupplier(two, suffix);
      }
      await shutOut(one, { suffixes: [DOMAIN, OTHER], sender: fqdn('ca2') });
      for (const suffix of [DOMAIN, OTHER]) {
        await cleanRuv(host, one, suffix, 4);
        await cleanRuv(host, one, suffix, 4);
      }
      expect(await agreementsOf(one)).toEqual([]);
      expect(await one.entry(senderDn(fqdn('ca2'), DOMAIN), ['1.1'])).toBeUndefined();
      const known = (await replicasOf(one)).map(({ suffix, ruv }) => [
        suffix,
        ruv.elements.map(({ id }) => id),
      ]);
      expect(known).toEqual([
        [DOMAIN, [3]],
        [OTHER, [3]],
      ]);
    });
  });

  test('comes back under another id, and its directory does not crash (389-ds 1.4.4.11 would)', async () => {
    await both(async (one, two) => {
      await makeSupplier(two, DOMAIN, 7);
      await feed(one, two, DOMAIN);
      await initialise(host, one, there(DOMAIN), () => {});
      expect(await proveBoth(one, two, DOMAIN)).toBeLessThan(10);
      const agreement = await agreementFor(two, back(DOMAIN));
      expect(agreement && hasReached(agreement)).toBe(true);
    });
    for (const name of HOSTS) {
      const restarts = await sh(name, 'systemctl show -p NRestarts,ActiveState --value dirsrv@EXAMPLE-TEST');
      expect(restarts.trim().split('\n').toSorted()).toEqual(['0', 'active']);
    }
  });

  test('left alone with a suffix supplies it again to who comes, and its feeds find where to begin', async () => {
    await both((one) => unmakeSupplier(one, OTHER));
    await sh('ca2', 'systemctl restart dirsrv@EXAMPLE-TEST');
    await both(async (one, two) => {
      const before = await supplierId(one, DOMAIN);
      await beginSupplying(host, one, OTHER, DOMAIN);
      const id = await supplierId(one, OTHER);
      // Under the id of before the feed would say that it succeeds, or that changes were purged, and send nothing.
      expect(id).not.toBe(before);
      expect((await ruvOf(one, OTHER))?.elements.map((element) => element.id)).toEqual([id]);
      await makeSupplier(two, OTHER, 7);
      await feed(one, two, OTHER);
      await initialise(host, one, there(OTHER), () => {});
      expect(await proveBoth(one, two, OTHER)).toBeLessThan(20);
    });
  });

  test('is fed no more within seconds, also during a copy', async () => {
    await both(async (one, two) => {
      const secret = password();
      await letIn(two, { suffixes: [OTHER], sender: fqdn('ca1'), password: secret });
      await addAgreement(one, { ...there(OTHER), password: secret });
      await one.replace(agreementDn(there(OTHER)), { nsds5BeginReplicaRefresh: ['start'] });
      const begun = performance.now();
      await removeAgreement(one, there(OTHER));
      // 389-ds would wait for two minutes unless told.
      expect(performance.now() - begun).toBeLessThan(60_000);
      expect(await agreementFor(one, there(OTHER))).toBeUndefined();
    });
  });

  test('for a host that is not there, initialising fails with the directory’s own words', async () => {
    await both(async (one) => {
      const nobody = { suffix: DOMAIN, receiver: fqdn('ca9') };
      await addAgreement(one, { ...nobody, sender: fqdn('ca1'), password: password() });
      await expect(initialise(host, one, nobody, () => {})).rejects.toMatchObject({
        code: 'initialisation-failed',
        message: expect.stringContaining("Can't contact LDAP server"),
      });
      await removeAgreement(one, nobody);
    });
  });
});
