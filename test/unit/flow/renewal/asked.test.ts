import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { RoleName, ServerEntry } from '../../../../src/directory/masters.ts';
import { objection, objectionTo } from '../../../../src/flow/renewal/asked.ts';
import { selfSigned } from '../../certificates.ts';

const HOST = 'ca2.example.test';
const NAME = `/O=EXAMPLE.TEST/CN=${HOST}`;
const [KEY, OTHER_KEY] = [rsaKey(), rsaKey()];
/** Issued by itself: what this CA has issued is judged by its signature alone. */
const CURRENT = selfSigned({ key: KEY, subject: NAME, serial: '0a', years: [2020, 2040] });
const STRANGE = selfSigned({ key: OTHER_KEY, subject: NAME, serial: '0b', years: [2020, 2040] });

function rsaKey(): string {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function request(subject: string, key = KEY): Buffer {
  // OpenSSL opens what it is told by name, and a socket cannot be.
  const script = 'openssl req -new -key <(cat) -subj "$0" -outform DER';
  return execFileSync('bash', ['-c', script, subject], { input: key, stdio: ['pipe', 'pipe', 'ignore'] });
}

describe('a request of a server without a CA', () => {
  test('is answered for the name and the key of the certificate that it shows', () => {
    expect(objection(HOST, request(NAME), CURRENT, CURRENT)).toBeUndefined();
  });

  test.each([
    ['another key', request(NAME, OTHER_KEY), CURRENT, CURRENT, /for another key/],
    ['another name', request('/O=EXAMPLE.TEST/CN=www.example.test'), CURRENT, CURRENT, /names .*www/],
    ['more than the name', request(`/O=EXAMPLE.TEST/OU=x/CN=${HOST}`), CURRENT, CURRENT, /names .*OU=x/],
    ['no request', Buffer.from('nothing'), CURRENT, CURRENT, /cannot be read/],
    ['what another CA issued', request(NAME, OTHER_KEY), STRANGE, CURRENT, /has not issued/],
  ])('is refused for %s', (_, asked, shown, authority, reason) => {
    expect(objection(HOST, asked, shown, authority)).toMatch(reason);
  });

  test('is refused where the certificate that is shown has the name of another host', () => {
    expect(objection('ca3.example.test', request(NAME), CURRENT, CURRENT)).toMatch(/has not issued/);
  });

  test('is refused when it was changed', () => {
    const changed = request(NAME);
    changed.writeUInt8(changed.readUInt8(changed.length - 1) ^ 1, changed.length - 1);
    expect(objection(HOST, changed, CURRENT, CURRENT)).toMatch(/signature .* is wrong/);
  });
});

test('only servers of the cluster without a CA are answered', () => {
  const server = (hostname: string, ...names: RoleName[]): ServerEntry => ({
    hostname,
    roles: names.map((name) => ({
      ...{ name, enabled: true, renewalMaster: false, crlGenerator: false, tokenSerial: 'ab01' },
    })),
  });
  const servers = [server('ca1.example.test', 'CA'), server(HOST)];
  expect(objectionTo(HOST, servers)).toBeUndefined();
  expect(objectionTo('ca1.example.test', servers)).toMatch(/has a CA/);
  expect(objectionTo('www.example.test', servers)).toMatch(/no server of this cluster/);
});
