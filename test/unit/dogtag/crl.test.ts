import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { crlGenerationIn, updateWord, withCrlGeneration } from '../../../src/dogtag/crl.ts';

/** As pkispawn of 10.10.2 leaves it on the first CA. */
const FIRST = `ca.connector.KRA.enable=false
ca.crl.MasterCRL.autoUpdateInterval=240
ca.crl.MasterCRL.enable=True
ca.crl.MasterCRL.enableCRLCache=true
ca.crl.MasterCRL.enableCRLUpdates=true
ca.signing.tokenname=capstan-hsm
`;

/** And on a clone. */
const CLONE = `ca.certStatusUpdateInterval=0
ca.connector.KRA.enable=false
ca.crl.MasterCRL.autoUpdateInterval=240
ca.crl.MasterCRL.enable=True
ca.crl.MasterCRL.enableCRLCache=false
ca.crl.MasterCRL.enableCRLUpdates=false
ca.listenToCloneModifications=false
ca.signing.tokenname=capstan-hsm
`;

const lineOf = (text: string, key: string) => text.split('\n').find((line) => line.startsWith(`${key}=`));

describe('whether a CA generates CRLs', () => {
  test.each([
    ['the first CA does, without hearing of others', FIRST, 'deaf'],
    ['the generator of a cluster does', `${FIRST}ca.listenToCloneModifications=true\n`, 'on'],
    ['a clone does not', CLONE, 'off'],
    ['a CA without any of the parameters does', 'machineName=ca1\n', 'deaf'],
    ['FreeIPA writes it in capitals', CLONE.replaceAll('false', 'False'), 'off'],
    ['without its cache', FIRST.replace('Cache=true', 'Cache=false'), 'mixed'],
    ['without updates', FIRST.replace('Updates=true', 'Updates=false'), 'mixed'],
    ['without looks at what expired', `${FIRST}ca.certStatusUpdateInterval=0\n`, 'mixed'],
    ['listening for nothing', CLONE.replace('Modifications=false', 'Modifications=true'), 'mixed'],
  ])('%s', (_, text, expected) => {
    expect(crlGenerationIn(text)).toBe(expected);
  });
});

describe('changing it', () => {
  test('makes a clone a generator that listens to the others', () => {
    const text = withCrlGeneration(CLONE, 'on');
    expect(lineOf(text, 'ca.listenToCloneModifications')).toBe('ca.listenToCloneModifications=true');
    expect(lineOf(text, 'ca.certStatusUpdateInterval')).toBeUndefined();
    expect(crlGenerationIn(text)).toBe('on');
  });

  test('leaves every other line as it is, in its place', () => {
    const parameters = /^ca\.(?:crl\.MasterCRL\.enableCRL|listenToClone|certStatusUpdate)/;
    const others = (text: string) => text.split('\n').filter((line) => !parameters.test(line));
    const line = fc.constantFrom(
      ...FIRST.split('\n'),
      ...CLONE.split('\n'),
      '',
      '# x',
      'ca.crl.MasterCRL.enable=True',
    );
    fc.assert(
      fc.property(fc.uniqueArray(line), fc.constantFrom('on' as const, 'off' as const), (lines, wanted) => {
        const before = lines.join('\n');
        const after = withCrlGeneration(before, wanted);
        expect(others(after)).toEqual(others(before));
        expect(withCrlGeneration(after, wanted)).toBe(after);
      }),
    );
  });

  test('ends where it was asked for, whatever was there', () => {
    const value = fc.option(fc.constantFrom('true', 'false', '0', '600'));
    const keys = ['ca.crl.MasterCRL.enableCRLCache', 'ca.crl.MasterCRL.enableCRLUpdates'];
    const more = ['ca.listenToCloneModifications', 'ca.certStatusUpdateInterval'];
    fc.assert(
      fc.property(
        fc.tuple(value, value, value, value),
        fc.constantFrom('on' as const, 'off' as const),
        (values, wanted) => {
          const given = [...keys, ...more].flatMap((key, index) =>
            values[index] === null ? [] : [`${key}=${values[index]}`],
          );
          expect(crlGenerationIn(withCrlGeneration(`${given.join('\n')}\n`, wanted))).toBe(wanted);
        },
      ),
    );
  });
});

describe('what a CA says when it is to generate a CRL', () => {
  const xml = (header: string) =>
    `<?xml version="1.0"?><xml><header><crlIssuingPoint>MasterCRL</crlIssuingPoint>${header}</header><fixed/></xml>`;

  test.each([
    ['<time>25</time>', 'done'],
    ['<crlUpdate>Success</crlUpdate>', 'done'],
    ['<crlUpdate>notInitialized</crlUpdate>', 'not-a-generator'],
    ['<crlUpdate>Disabled</crlUpdate>', 'not-a-generator'],
    ['<crlUpdate>Failure</crlUpdate><error>no key</error>', 'Failure'],
    ['<error>You are not authorized</error>', 'You are not authorized'],
    ['', 'unreadable answer'],
  ])('%s', (header, word) => {
    expect(updateWord(xml(header))).toBe(word);
  });
});
