import { describe, expect, test } from 'vitest';
import type { RoleEntry } from '../../../src/directory/masters.ts';
import { senderDn } from '../../../src/directory/replication.ts';
import { CA_CERTIFICATES, type SystemCertificate } from '../../../src/dogtag/certificates.ts';
import { isNewer } from '../../../src/health/checks/server.ts';
import type { Facts, ServerFacts } from '../../../src/health/facts.ts';
import { found } from './facts.ts';

const server: ServerFacts = {
  hostname: 'ca1.example.test',
  realm: 'EXAMPLE.TEST',
  suffix: 'dc=example,dc=test',
  subject: 'CN=ca1.example.test,O=EXAMPLE.TEST',
  instance: 'EXAMPLE-TEST',
  hasCa: true,
  hasKra: false,
  joined: false,
  token: { label: 'HSM', libraryPath: '/usr/lib/hsm.so' },
  certificates: [],
  unfinished: undefined,
  flow: 'server-install',
  capstan: { journal: '1.2.0', now: '1.2.0' },
};

const CA: RoleEntry = {
  name: 'CA',
  enabled: true,
  renewalMaster: true,
  crlGenerator: true,
  tokenSerial: '1',
};

const directory: Facts['directory'] = {
  record: { tokenName: 'HSM', libraryPath: '/usr/lib/hsm.so' },
  recordProblem: undefined,
  servers: [{ hostname: 'ca1.example.test', roles: [CA] }],
  usnPlugin: true,
  publishedCas: [],
  identity: 'cn=ca1.example.test, o=example.test',
  isManager: true,
  conflicts: [],
  replicas: [],
  agreements: [],
  senders: [],
  letIn: [],
};

const withCa = (changes: Partial<RoleEntry>) => ({
  ...directory,
  servers: [{ hostname: 'CA1.example.test', roles: [{ ...CA, ...changes }] }],
});

describe('releases', () => {
  test.each([
    ['1.2.0', '1.2.0', false],
    ['1.10.0', '1.9.9', true],
    ['1.2.0', '1.10.0', false],
    ['2.0', '1.9.9', true],
    ['unknown', '1.0.0', false],
  ])('%s is newer than %s: %s', (one, other, expected) => {
    expect(isNewer(one, other)).toBe(expected);
  });
});

describe('the record', () => {
  test('may name another library on a server that joined, and no other token', () => {
    const other = { ...directory, record: { tokenName: 'HSM', libraryPath: '/opt/hsm.so' } };
    expect(found('hsm-record-differs', { server, directory })).toEqual([]);
    expect(found('hsm-record-differs', { server: { ...server, joined: true }, directory: other })).toEqual(
      [],
    );
    expect(found('hsm-record-differs', { server, directory: other })).toEqual([
      'The HSM record is HSM;/opt/hsm.so; this server was installed with HSM;/usr/lib/hsm.so.',
    ]);
    const token = { label: 'OTHER', libraryPath: '/opt/hsm.so' };
    expect(
      found('hsm-record-differs', { server: { ...server, joined: true, token }, directory: other }),
    ).toHaveLength(1);
  });

  test('a server is known by its subject, however that is written', () => {
    expect(found('identity-unknown', { server, directory })).toEqual([]);
    expect(
      found('identity-unknown', { server, directory: { ...directory, identity: 'CN=ca2,O=X' } }),
    ).toHaveLength(1);
    expect(found('identity-unknown', { server, directory: { ...directory, isManager: false } })).toHaveLength(
      1,
    );
  });
});

describe('roles', () => {
  test('one server has each of those that are for one', () => {
    const two = [...directory.servers, { hostname: 'ca2.example.test', roles: [CA] }];
    expect(found('renewal-master', { directory })).toEqual([]);
    expect(found('renewal-master', { directory: withCa({ renewalMaster: false }) })).toEqual([
      'By the record no server has the role renewal-master.',
    ]);
    expect(found('crl-generator', { directory: { ...directory, servers: two } })).toEqual([
      'By the record several servers have (ca1.example.test, ca2.example.test) the role crl-generator.',
    ]);
    expect(
      found('renewal-master', { directory: { ...directory, servers: [{ hostname: 'a', roles: [] }] } }),
    ).toEqual([]);
  });

  test('what is recorded is what there is', () => {
    expect(found('role-differs', { server, directory: withCa({}) })).toEqual([]);
    expect(found('role-differs', { server, directory: withCa({ enabled: false }) })).toHaveLength(1);
    expect(found('role-differs', { server: { ...server, hasCa: false }, directory })).toEqual([
      'ca1.example.test is recorded with a CA, and has none.',
    ]);
    expect(found('server-unrecorded', { server, directory: { ...directory, servers: [] } })).toHaveLength(1);
  });
});

describe('a KRA', () => {
  const KRA: RoleEntry = { ...CA, name: 'KRA', renewalMaster: false, crlGenerator: false };
  const both = (...kras: string[]): Facts['directory'] => ({
    ...directory,
    servers: ['ca1', 'ca2'].map((name) => ({
      hostname: `${name}.example.test`,
      roles: kras.includes(name) ? [CA, KRA] : [CA],
    })),
  });
  const withKra = { ...server, hasKra: true };
  const knowing = (...kras: string[]) =>
    ({
      connector: { kras, transport: 'AAAA' },
      certificates: [{ nickname: 'transportCert cert-pki-kra', token: 'HSM', certificate: 'AAAA' }],
    }) as unknown as Facts['configuration'];

  test('is recorded where it is, and nowhere else', () => {
    expect(found('role-differs', { server: withKra, directory: both('ca1', 'ca2') })).toEqual([]);
    expect(found('role-differs', { server: withKra, directory: both('ca2') })).toEqual([
      'ca1.example.test has a KRA, and is not recorded with one that is enabled.',
    ]);
    expect(found('role-differs', { server, directory: both('ca1') })).toEqual([
      'ca1.example.test is recorded with a KRA, and has none.',
    ]);
  });

  test('is known to the CA as long as it is recorded, also to a CA without one beside it', () => {
    const one = knowing('ca1.example.test');
    expect(found('kra-unconnected', { directory: both('ca1'), configuration: one })).toEqual([]);
    expect(found('kra-unconnected', { directory: both('ca1', 'ca2'), configuration: one })).toEqual([
      'ca2.example.test: The CA of this server does not know the KRA of ca2.example.test.',
    ]);
    const stale = (of: ServerFacts, recorded: Facts['directory']) =>
      found('kra-connector-stale', { server: of, directory: recorded, configuration: one });
    expect(stale(server, both('ca1'))).toEqual([]);
    expect(stale(withKra, both('ca2'))).toEqual([]);
    expect(stale(server, both('ca2'))).toEqual([
      'ca1.example.test: The CA of this server sends keys to a KRA of ca1.example.test, which is not recorded.',
    ]);
  });

  test('has the transport certificate that the CA hands out', () => {
    const configuration = knowing('ca1.example.test');
    expect(found('kra-transport-differs', { configuration })).toEqual([]);
    const other = { ...configuration, connector: { kras: ['ca1.example.test'], transport: 'BBBB' } };
    expect(found('kra-transport-differs', { configuration: other })).toHaveLength(1);
    expect(found('kra-transport-differs', { configuration: { ...other, certificates: [] } })).toEqual([]);
  });

  test('is in the security domain', () => {
    const caData = (kra: string[]) =>
      ({ domain: { CA: ['ca1.example.test', 'ca2.example.test'], KRA: kra } }) as unknown as Facts['caData'];
    const look = (code: string, kra: string[]) =>
      found(code, { server, directory: both('ca2'), caData: caData(kra) });
    expect(look('domain-entry-missing', ['ca2.example.test'])).toEqual([]);
    expect(look('domain-entry-missing', [])).toEqual([
      'ca2.example.test: The security domain does not have the KRA of ca2.example.test.',
    ]);
    expect(look('domain-entry-stale', ['ca2.example.test'])).toEqual([]);
    expect(look('domain-entry-stale', ['ca9.example.test'])).toEqual([
      'ca9.example.test: The security domain has a KRA of ca9.example.test, which is not recorded.',
    ]);
  });
});

describe('replication', () => {
  const replicas = (url: string): Facts['directory']['replicas'] => [
    { suffix: 'o=ipaca', id: 3, ruv: { generation: 'x', elements: [{ id: 7, url }] } },
  ];

  test('a replica of a server that is gone is left over; one that does not say where it is, is not judged', () => {
    const left = (url: string) =>
      found('ruv-leftover', { directory: { ...directory, replicas: replicas(url) } });
    expect(left('ldap://CA1.example.test:389')).toEqual([]);
    expect(left('')).toEqual([]);
    expect(left('ldap://ca9.example.test:389')).toEqual([
      '7 o=ipaca: The directory still keeps account of the replica 7 of o=ipaca, on ca9.example.test, which is no server of the cluster.',
    ]);
  });

  test('feeds are told by their state', () => {
    const feed = (state: string) => ({
      suffix: 'o=ipaca',
      sender: 'a',
      receiver: 'b',
      state,
      well: false,
      detail: 'it is so',
    });
    const cluster = { servers: [], parts: [], feeds: ['well', 'sending', 'behind', 'disabled'].map(feed) };
    expect(found('feed-behind', { cluster })).toEqual([
      'a -> b o=ipaca: The feed of o=ipaca from a to b: it is so.',
    ]);
    expect(found('feed-disabled', { cluster })).toHaveLength(1);
    expect(found('feed-failing', { cluster })).toEqual([]);
  });
});

describe('what one fault has another check find as well', () => {
  const twoParts = [{ suffix: 'o=ipaca', parts: [['a', 'c'], ['b']] }];
  const feed = (state: string) => ({
    ...{ suffix: 'o=ipaca', sender: 'a', receiver: 'b', state, well: false, detail: '' },
  });

  test('servers that only one feed too few parts are told by that feed', () => {
    const parted = (state: string, suffix = 'o=ipaca') =>
      found('replication-parted', {
        cluster: { servers: [], parts: twoParts, feeds: [{ ...feed(state), suffix }] },
      });
    expect(parted('missing')).toEqual([]);
    expect(parted('unknown')).toHaveLength(1);
    expect(parted('missing', 'dc=example,dc=test')).toHaveLength(1);
  });

  test('an account is told once: with the changes of its server, where there are some', () => {
    const suffix = 'dc=example,dc=test';
    const gone = senderDn('ca9.example.test', suffix);
    const replicas = (host: string): Facts['directory']['replicas'] => [
      { suffix, id: 3, ruv: { generation: 'x', elements: [{ id: 7, url: `ldap://${host}:389` }] } },
    ];
    const told = (host: string) =>
      found('sender-leftover', {
        directory: { ...directory, senders: [gone], replicas: replicas(host) },
      });
    expect(told('ca1.example.test')).toHaveLength(1);
    expect(told('ca9.example.test')).toEqual([]);
  });

  test('a certificate without its key has other flags, and its key is told', () => {
    const audit = { ...CA_CERTIFICATES[2] } as SystemCertificate;
    const flags = (state: 'no-key' | 'other-key') =>
      found('trust-token-differs', {
        server: { ...server, certificates: [audit] },
        tokenTrust: { [audit.nickname]: ',,P' },
        hsmLogin: { keys: [{ nickname: audit.nickname, state, weaknesses: [] }] },
      });
    expect(flags('no-key')).toEqual([]);
    expect(flags('other-key')).toHaveLength(1);
  });
});

describe('renewals', () => {
  const request = {
    ...{ path: '', id: 'capstan-ca-signing', status: 'MONITORING', stuck: false, database: '', nickname: '' },
    ...{ keyToken: 'HSM', certToken: 'HSM', serial: '1F', issued: undefined, expires: undefined },
    ...{ certificate: '', caError: undefined },
  };
  const certmonger = { requests: [request], knowsCa: true, otherPins: [], placed: {} };
  const withRequest = (changes: Partial<Facts['certmonger']>) => ({
    server: { ...server, certificates: CA_CERTIFICATES.slice(0, 1) },
    certmonger: { ...certmonger, ...changes },
  });

  test('what certmonger saved and nobody put in place is told, once certmonger is done', () => {
    const unplaced = (changes: Partial<Facts['certmonger']>) =>
      found('renewal-unplaced', withRequest(changes));
    expect(unplaced({})).toEqual([]);
    expect(unplaced({ placed: { [request.id]: '1F' } })).toEqual([]);
    expect(unplaced({ placed: { [request.id]: '1E' } })).toEqual([
      'caSigningCert cert-pki-ca: certmonger has renewed "caSigningCert cert-pki-ca" (serial number 1F); 1E is in place.',
    ]);
    const working = [{ ...request, status: 'CA_WORKING' }];
    expect(unplaced({ requests: working, placed: { [request.id]: '1E' } })).toEqual([]);
  });

  test('a PIN that certmonger has and Dogtag has not is told by its certificate', () => {
    expect(found('tracking-pin-differs', withRequest({}))).toEqual([]);
    expect(found('tracking-pin-differs', withRequest({ otherPins: [request.id] }))).toEqual([
      expect.stringContaining('on the token HSM'),
    ]);
  });
});

describe('the PIN', () => {
  const token = {
    label: 'HSM',
    userPinInitialised: true,
    pinCountLow: false,
    pinFinalTry: false,
    pinLocked: false,
    pinToBeChanged: false,
  } as Facts['hsm']['token'];
  test.each([
    [{}, []],
    [{ pinCountLow: true }, ['The PIN of the token HSM was given wrongly since the last good login.']],
    [
      { pinCountLow: true, pinFinalTry: true },
      ['The PIN of the token HSM has one try left before it locks.'],
    ],
    [{ pinLocked: true, pinFinalTry: true }, ['The PIN of the token HSM is locked.']],
    [{ pinToBeChanged: true }, ['The PIN of the token HSM must be changed before it is used.']],
    [{ userPinInitialised: false }, ['The PIN of the token HSM was never set.']],
  ])('%o', (changes, expected) => {
    expect(found('hsm-pin-tries', { hsm: { token: { ...token, ...changes }, certificates: [] } })).toEqual(
      expected,
    );
  });
});
