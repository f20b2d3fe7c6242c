import { describe, expect, it } from 'vitest';
import {
  type JoinValues,
  joinSecret,
  joinsBySecret,
  parseLifetime,
  readJoinTarget,
} from '../../../../installer/options/join.ts';
import type { Asker } from '../../../../installer/prompt.ts';
import type { CapstanError, PreflightError } from '../../../../src/errors.ts';
import type { CaFacts } from '../../../../src/flow/trust.ts';

const HEX = 'ab'.repeat(32);
const SERVER = 'ca1.example.test';

/** The codes of everything that is refused. */
async function codesOf(work: Promise<unknown>): Promise<string[]> {
  const error = await work.then(
    () => undefined,
    (thrown: CapstanError) => thrown,
  );
  if (!error) return [];
  return 'failures' in error ? (error as PreflightError).failures.map(({ code }) => code) : [error.code];
}

/** A person who gives these answers, and what was asked. */
function person(...answers: string[]): { asker: Asker; asked: string[] } {
  const asked: string[] = [];
  const text: Asker['text'] = async ({ what, flaw }) => {
    asked.push(what);
    for (const answer of answers.splice(0)) {
      if (flaw(answer) === undefined) return answer;
    }
    throw new Error('no answer was good');
  };
  return { asker: { text, secret: async () => '' }, asked };
}

describe('readJoinTarget', () => {
  const read = (values: JoinValues) => readJoinTarget(values, undefined);

  it('takes a certificate or a fingerprint', async () => {
    expect(await read({ server: SERVER, caCertFile: '/root/ca.crt' })).toEqual({
      server: SERVER,
      trust: { file: '/root/ca.crt' },
    });
    expect(await read({ server: SERVER, caFingerprint: `SHA256:${HEX.toUpperCase()}` })).toEqual({
      server: SERVER,
      trust: { fingerprint: `sha256:${HEX}` },
    });
  });

  it.each<[JoinValues, string[]]>([
    [{}, ['option-missing', 'option-missing']],
    [{ server: SERVER }, ['option-missing']],
    [{ server: 'ca1', caFingerprint: 'x' }, ['server-invalid', 'ca-fingerprint-invalid']],
    [{ server: '10.77.0.11', caFingerprint: HEX }, ['server-invalid']],
    [{ server: `${SERVER}\n`, caFingerprint: HEX }, ['option-unprintable']],
    [{ server: SERVER, caCertFile: '' }, ['ca-certificate-unreadable']],
    [{ server: SERVER, caCertFile: '/root/../ca.crt' }, ['ca-certificate-unreadable']],
    [{ server: SERVER, caFingerprint: `${HEX}\0` }, ['option-unprintable']],
  ])('refuses %j: %j', async (values, codes) => {
    expect(await codesOf(read(values))).toEqual(codes);
  });

  it.each([
    ['yes', true],
    ['YES', true],
    ['no', false],
  ])('has a person compare, who says %s', async (answer, isTrusted) => {
    const { asker, asked } = person('perhaps', '', 'y', answer);
    const { trust } = await readJoinTarget({ server: SERVER }, asker);
    const found: CaFacts = { subject: 'CN=CA', fingerprint: `sha256:${HEX}`, validFrom: 'a', validTo: 'b' };
    expect('confirm' in trust && (await trust.confirm(found))).toBe(isTrusted);
    expect(asked.join()).toContain(`sha256:${HEX}`);
    expect(asked.join()).toContain('CN=CA');
  });
});

describe('the join secret', () => {
  it('is asked for under its own name', () => {
    expect(joinSecret({ joinSecretFile: '/root/secret' })).toEqual({
      what: 'join secret',
      option: '--join-secret',
      file: '/root/secret',
    });
  });

  it('is joined with where one is given or wanted, and else the Directory Manager’s password', () => {
    const places = { credentials: undefined };
    expect(joinsBySecret({}, places)).toBe(false);
    expect(joinsBySecret({ joinSecret: true }, places)).toBe(true);
    expect(joinsBySecret({ joinSecretFile: '-' }, places)).toBe(true);
  });

  it.each([
    ['10m', 600],
    ['24h', 86_400],
    ['7d', 604_800],
    ['90m', 5400],
  ])('is good for %s', (text, seconds) => {
    expect(parseLifetime(text)).toBe(seconds);
  });

  it.each(['', '24', 'h', '9m', '8d', '0h', '-1h', '1.5h', '24 h', '24H', '1w', '999999m', '24h\n'])(
    'cannot be good for %j',
    (text) => {
      expect(() => parseLifetime(text)).toThrow(
        expect.objectContaining({ code: expect.stringMatching(/^(?:lifetime-invalid|option-unprintable)$/) }),
      );
    },
  );
});
