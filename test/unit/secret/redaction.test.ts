import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { forgetSecret, hideSecret, lineRedactor, redact } from '../../../src/secret/redaction.ts';
import { Secret } from '../../../src/secret/secret.ts';

/** What `work` sees while a value is hidden. */
function whileHidden<Result>(value: string, work: () => Result): Result {
  hideSecret(value);
  try {
    return work();
  } finally {
    forgetSecret(value);
  }
}

describe('redact', () => {
  it.each([
    ['as it is', 'a%b\'c"d\\é', 'a%b\'c"d\\é'],
    ['in JSON', 'a"b\\c', JSON.stringify('a"b\\c').slice(1, -1)],
    ['in a URL', 'a b&ü', 'a%20b%26%C3%BC'],
    ['in a configuration of Python', '50%off', '50%%off'],
    ['in a trace of Python', "it's\\", "it\\'s\\\\"],
    ['in base64', 'Sentinel', 'U2VudGluZWw='],
  ])('hides a secret %s', (_how, value, form) => {
    expect(whileHidden(value, () => redact(`before ${form} after`))).toBe('before [secret] after');
  });

  it('hides every text that a secret can be, half a surrogate pair among them', () => {
    // `unit: binary` makes lone surrogates as well.
    const anything = fc.oneof(fc.string({ unit: 'binary', minLength: 1 }), fc.constant('a\ud800b'));
    fc.assert(
      fc.property(anything, (value) => {
        expect(whileHidden(value, () => redact(`<${value}>`))).not.toContain(`<${value}>`);
      }),
    );
  });

  it('leaves nothing of a secret that holds another', () => {
    expect(whileHidden('Sent', () => whileHidden('Sentinel', () => redact('Sentinel Sent')))).toBe(
      '[secret] [secret]',
    );
  });

  it('hides a value until each that hid it has let go', () => {
    const [one, other] = [new Secret('Sentinel.twice', 'one'), new Secret('Sentinel.twice', 'other')];
    one.forget();
    expect(redact('Sentinel.twice')).toBe('[secret]');
    other.forget();
    expect(redact('Sentinel.twice')).toBe('Sentinel.twice');
  });

  it('knows a secret that was made after the last text', () => {
    expect(redact('Sentinel.new')).toBe('Sentinel.new');
    expect(whileHidden('Sentinel.new', () => redact('Sentinel.new'))).toBe('[secret]');
  });

  it('is quick enough for the whole output of a long program', () => {
    const text = 'INFO: a line of pkispawn as it is written by the thousand\n'.repeat(50_000);
    const values = Array.from({ length: 20 }, (_, index) => `Sentinel "${index}" 100%`);
    values.forEach(hideSecret);
    const begun = performance.now();
    for (let count = 0; count < 5; count++) redact(text);
    const milliseconds = (performance.now() - begun) / 5;
    values.forEach(forgetSecret);
    console.log(`${Math.round(milliseconds)} ms for ${Math.round(text.length / 1e6)} MB`);
    expect(milliseconds).toBeLessThan(1000);
  });
});

const KEY_LINES = [
  '-----BEGIN RSA PRIVATE KEY-----',
  'Proc-Type: 4,ENCRYPTED',
  '',
  'MIIEvQIBADANBgkqhkiG9w0BAQEFAASC',
  'BKcwggSjAgEAAoIBAQ==',
  '-----END RSA PRIVATE KEY-----',
];

describe('a private key', () => {
  it.each(['PRIVATE KEY', 'RSA PRIVATE KEY', 'ENCRYPTED PRIVATE KEY', 'EC PRIVATE KEY'])(
    'is hidden as a whole: %s',
    (kind) => {
      const key = `-----BEGIN ${kind}-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nab==\n-----END ${kind}-----`;
      expect(redact(`one\n${key}\ntwo\n${key}\nthree`)).toBe('one\n[secret]\ntwo\n[secret]\nthree');
      expect(redact(JSON.stringify({ key }))).toBe('{"key":"[secret]"}');
    },
  );

  it('is hidden where it is cut off', () => {
    const cut = KEY_LINES.filter((line) => !/END|Proc|^$/.test(line)).join('\n');
    expect(redact(`one\n${cut}\nand more words`)).toBe('one\n[secret]\nand more words');
  });

  it('is no reason to hide a certificate, or a sentence about keys', () => {
    const text = [
      '-----BEGIN CERTIFICATE-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END CERTIFICATE-----',
      'Missing header, and the PRIVATE KEY with it',
    ].join('\n');
    expect(redact(text)).toBe(text);
  });

  it('is hidden line by line, and what follows is not', () => {
    const redactLine = lineRedactor();
    expect(['one', ...KEY_LINES, 'MIIEvQIBADANBgkqhkiG9w0BAQEFAASC'].map(redactLine)).toEqual([
      'one',
      ...KEY_LINES.map(() => '[secret]'),
      'MIIEvQIBADANBgkqhkiG9w0BAQEFAASC',
    ]);
  });

  it('that is only spoken of does not silence the lines after it', () => {
    const redactLine = lineRedactor();
    expect(redactLine('the file has no -----BEGIN PRIVATE KEY-----')).toBe('the file has no [secret]');
    expect(redactLine('and cannot be read')).toBe('and cannot be read');
  });
});
