import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { answerCertmonger } from '../../../../src/flow/renewal/helper.ts';
import { ANSWERS, askLater, requestOf } from '../../../../src/flow/renewal/protocol.ts';
import { openHost } from '../../../../src/host/host.ts';
import { newKey, selfSigned } from '../../certificates.ts';

const SCRIPT = fileURLToPath(new URL('../../../../bin/capstan', import.meta.url));

const wish = { subject: '/O=EXAMPLE.TEST/CN=CA Audit', serial: '05', years: [2024, 2026] } as const;
const certificate = selfSigned({ ...wish, key: newKey() });
const environment = {
  CERTMONGER_OPERATION: 'SUBMIT',
  CERTMONGER_CSR: '-----BEGIN NEW CERTIFICATE REQUEST-----',
  CERTMONGER_CERTIFICATE: certificate.toString(),
};

describe('what certmonger asks for', () => {
  test('is read from its environment', () => {
    const request = requestOf({ ...environment, CERTMONGER_CA_PROFILE: 'caSignedLogCert' });
    expect(request).toMatchObject({ profile: 'caSignedLogCert', asked: 0 });
    expect(request.current.serialNumber).toBe('05');
    expect(requestOf(environment).profile).toBeUndefined();
    expect(requestOf({ ...environment, CERTMONGER_CA_COOKIE: 'capstan-3\n' }).asked).toBe(3);
    expect(requestOf({ ...environment, CERTMONGER_CA_COOKIE: 'state=retrieve&requestId=4' }).asked).toBe(0);
  });

  test.each(['CERTMONGER_CSR', 'CERTMONGER_CERTIFICATE'])('is refused without %s', (name) => {
    expect(() => requestOf({ ...environment, [name]: '' })).toThrow(
      expect.objectContaining({ code: 'usage', message: expect.stringContaining(name) }),
    );
  });
});

describe('being told to ask again', () => {
  test('comes in longer and longer times, an hour at most', () => {
    const seconds = [0, 1, 2, 5, 6, 7, 500].map((asked) => Number(askLater(asked).output.split('\n')[0]));
    expect(seconds).toEqual([60, 120, 240, 1920, 3600, 3600, 3600]);
    expect(askLater(4)).toEqual({ code: ANSWERS.later, output: '960\ncapstan-5' });
  });
});

describe('the helper', () => {
  const ask = (operation: string | undefined, more = {}) =>
    answerCertmonger(async () => openHost(), { CERTMONGER_OPERATION: operation, ...more });

  /** What `bin/capstan` answers by itself. */
  const ofShell = (operation: string | undefined) => {
    const env = operation === undefined ? {} : { CERTMONGER_OPERATION: operation };
    const script = readFileSync(SCRIPT);
    const { status, stdout } = spawnSync('/bin/sh', ['-s', 'renewal-helper'], {
      input: script,
      env,
      cwd: '/',
      encoding: 'utf8',
    });
    return { code: status, output: stdout };
  };

  test('says who it is, what it needs and what it offers', async () => {
    expect(await ask('IDENTIFY')).toMatchObject({ code: 0, output: expect.stringMatching(/^Capstan \d/) });
    for (const operation of ['GET-NEW-REQUEST-REQUIREMENTS', 'GET-RENEW-REQUEST-REQUIREMENTS'])
      expect(ofShell(operation)).toEqual({ code: 0, output: 'CERTMONGER_CSR\nCERTMONGER_CERTIFICATE\n' });
    expect((await ask('GET-SUPPORTED-TEMPLATES')).output.split('\n')).toContain('caOCSPCert');
    expect(ofShell('GET-DEFAULT-TEMPLATE')).toEqual({ code: 0, output: '' });
  });

  test.each(['FETCH-SCEP-CA-CAPS', 'FETCH-SCEP-CA-CERTS', 'FETCH-SOMETHING-NEW'])(
    'does not do %s',
    async (operation) => {
      expect(ofShell(operation)).toEqual({ code: ANSWERS.unsupported, output: '' });
      expect(await ask(operation)).toEqual({ code: ANSWERS.unsupported, output: '' });
    },
  );

  test('is asked by the shell whatever the shell does not know', () => {
    // Without Node beside it, what is handed on fails.
    for (const operation of [
      'SUBMIT',
      'POLL',
      'IDENTIFY',
      'GET-SUPPORTED-TEMPLATES',
      'FETCH-ROOTS',
      undefined,
    ])
      expect(ofShell(operation)).toMatchObject({ code: 1 });
  });

  test('rejects a request that it cannot read, as SUBMIT where nothing is said', async () => {
    for (const operation of ['SUBMIT', 'POLL', undefined])
      expect(await ask(operation)).toMatchObject({
        code: ANSWERS.rejected,
        output: expect.stringContaining('CERTMONGER_CSR'),
      });
  });
});
