import { describe, expect, it } from 'vitest';
import type { Asker, Question } from '../../../installer/prompt.ts';
import { chooseWay, decide, requireSame } from '../../../installer/unfinished.ts';
import type { Site } from '../../../src/flow/site.ts';
import type { Journal } from '../../../src/plan/journal.ts';

const JOURNAL: Journal = {
  version: 1,
  flow: 'server-install',
  capstan: '1.2.3',
  started: '2026-01-02T03:04:05.000Z',
  runs: ['a'],
  site: {},
  steps: [
    { id: 'directory-instance', state: 'done', at: '2026-01-02T03:04:15.000Z', facts: {} },
    { id: 'certificate-authority', state: 'applying', at: '2026-01-02T03:04:16.000Z', facts: {} },
  ],
};

const TAKEN_BACK: Journal = { ...JOURNAL, removing: '2026-01-02T04:00:00.000Z' };

/** A person who answers; `heard` keeps what was asked. */
function person(...answers: string[]): Asker & { heard: Question[] } {
  const heard: Question[] = [];
  return {
    heard,
    async text(question) {
      heard.push(question);
      const answer = answers.shift();
      if (answer === undefined) throw new Error('Ctrl+C');
      return answer;
    },
    secret: () => Promise.reject(new Error('nobody asks for a secret here')),
  };
}

describe('the way of a run', () => {
  it('is the beginning where nothing is unfinished', async () => {
    expect(await chooseWay('server-install', {}, undefined, undefined)).toBe('begin');
  });

  it.each([{ resume: true }, { undo: true }])('cannot be %o where nothing is unfinished', async (values) => {
    await expect(chooseWay('server-install', values, undefined, person())).rejects.toMatchObject({
      code: 'nothing-unfinished',
      exit: 2,
    });
  });

  it('is what the options say, without a question', async () => {
    const asker = person();
    expect(await chooseWay('server-install', { resume: true }, JOURNAL, asker)).toBe('resume');
    expect(await chooseWay('server-install', { undo: true }, JOURNAL, asker)).toBe('undo');
    expect(asker.heard).toEqual([]);
  });

  it('is refused where nobody can be asked, with what happened and when', async () => {
    await expect(chooseWay('server-install', {}, JOURNAL, undefined)).rejects.toMatchObject({
      code: 'unfinished-run',
      exit: 2,
      message: expect.stringMatching(
        /It began at 2026-01-02T03:04:05.000Z; steps done: 1, .*directory-instance \(2026-01-02T03:04:15.000Z\); certificate-authority \(2026-01-02T03:04:16.000Z\) began/,
      ),
      next: expect.stringMatching(/--resume.*--undo/),
    });
  });

  it('tells what failed, and that it is being taken back', async () => {
    const failure = { step: 'tracking', code: 'x', message: 'It broke.', at: '2026-01-02T03:05:00.000Z' };
    const error = chooseWay('server-install', {}, { ...TAKEN_BACK, failure }, undefined);
    await expect(error).rejects.toMatchObject({
      message: expect.stringMatching(/tracking failed at .*: It broke.*since 2026-01-02T04.* taken back/),
      next: expect.not.stringContaining('--resume'),
    });
  });

  it('is asked for', async () => {
    const asker = person('resume ');
    expect(await chooseWay('server-install', {}, JOURNAL, asker)).toBe('resume');
    expect(asker.heard[0]?.what).toContain('certificate-authority');
    expect(asker.heard[0]?.flaw('undo')).toBeUndefined();
    expect(asker.heard[0]?.flaw('yes')).toBe('Type resume or undo.');
  });

  it('is only back, once it was begun', async () => {
    const asker = person('undo');
    expect(await chooseWay('server-install', {}, TAKEN_BACK, asker)).toBe('undo');
    expect(asker.heard[0]?.flaw('resume')).toBe('Type undo.');
  });
});

describe('what becomes of a failed run', () => {
  it.each([
    ['undo', 'undo'],
    ['keep', 'keep'],
  ] as const)('is what a person says: %s', async (answer, wish) => {
    const asker = person(answer);
    expect(await decide(asker)).toBe(wish);
    expect(asker.heard[0]?.fallback).toBe('undo');
    expect(asker.heard[0]?.flaw('perhaps')).toBeDefined();
  });

  it('is left as it is on Ctrl+C', async () => {
    expect(await decide(person())).toBe('keep');
  });
});

describe('a resumed installation', () => {
  const site: Site = {
    realm: 'EXAMPLE.TEST',
    domain: 'example.test',
    hostname: 'ca1.example.test',
    caSubject: 'CN=CA,O=EXAMPLE.TEST',
    subjectBase: 'O=EXAMPLE.TEST',
    keySize: 3072,
    token: { label: 'HSM', libraryPath: '/usr/lib/hsm.so' },
  };

  it('is the one that was begun', () => {
    expect(() => requireSame(site, structuredClone(site))).not.toThrow();
  });

  it.each<[string, Partial<Site>]>([
    ['--realm', { realm: 'OTHER.TEST' }],
    ['--key-size', { keySize: 4096 }],
    ['--pki-config-override', { override: '/root/override' }],
    ['--token-name', { token: { ...site.token, label: 'other' } }],
    ['--library-path', { token: { ...site.token, libraryPath: '/usr/lib/other.so' } }],
    ['--external-ca', { external: { type: 'generic' } }],
  ])('does not change its %s', (option, change) => {
    expect(() => requireSame(site, { ...site, ...change })).toThrow(
      expect.objectContaining({ code: 'resume-differs', exit: 2, message: expect.stringContaining(option) }),
    );
  });
});

describe('an installation that waits for the certificate of its CA', () => {
  const waiting: Journal = { ...JOURNAL, waiting: '2026-01-03T03:04:05.000Z' };
  const given = { externalCertFile: ['/root/ca.crt'] };

  it('goes on with the certificate, and with nothing else', async () => {
    expect(await chooseWay('server-install', given, waiting, undefined)).toBe('resume');
    for (const values of [{}, { resume: true }])
      await expect(chooseWay('server-install', values, waiting, person())).rejects.toMatchObject({
        code: 'waiting-for-certificate',
        message: expect.stringContaining('2026-01-03T03:04:05.000Z'),
        next: expect.stringContaining('--external-cert-file'),
      });
  });

  it('can be taken back', async () => {
    expect(await chooseWay('server-install', { undo: true }, waiting, undefined)).toBe('undo');
  });

  it('is the only one that a certificate is for', async () => {
    for (const journal of [undefined, JOURNAL])
      await expect(chooseWay('server-install', given, journal, person())).rejects.toMatchObject({
        code: 'nothing-waiting',
        exit: 2,
      });
  });
});
