import { describe, expect, test } from 'vitest';
import { templateExtension } from '../../../src/external/profile.ts';
import { parseProfile } from '../../../src/names/template.ts';

function encoded(text: string): { oid: string; value: string } {
  const { extnID, extnValue } = templateExtension(parseProfile(text));
  return { oid: extnID, value: Buffer.from(extnValue.buffer).toString('hex') };
}

function code(text: string): string | undefined {
  try {
    parseProfile(text);
    return undefined;
  } catch (error) {
    return (error as { code: string }).code;
  }
}

describe("Microsoft's template", () => {
  test('by its name is a BMPString', () => {
    expect(encoded('SubCA')).toEqual({ oid: '1.3.6.1.4.1.311.20.2', value: '1e0a00530075006200430041' });
  });

  test('by its object identifier is a sequence with the version', () => {
    expect(encoded('1.3.6.1.4.1.311.21.8.300:100')).toEqual({
      oid: '1.3.6.1.4.1.311.21.7',
      value: '3010060b2b060104018237150 8822c020164'.replace(' ', ''),
    });
    expect(encoded('1.2.840.113549:100:200').value).toBe('300f06062a864886f70d020164020200c8');
    expect(encoded('2.999:0:0').value).toBe('300a0602883702010002 0100'.replace(' ', ''));
  });

  test('keeps to its form', () => {
    const wrong = [
      ...['', ' SubCA', 'Sub:CA', 'ä', '1.2', '1.2:', '1.2:x', '1.2:1:2:3', '1.2:01', '3.1:1', '1.40:1'],
      ...['1.02:1', `1.2:${'9'.repeat(10)}`, 'x'.repeat(65), 'a\nb'],
    ];
    expect(wrong.filter((text) => code(text) !== 'external-profile-invalid')).toEqual([]);
    expect(['SubCA', 'Our Sub CA', '1.2:1', '1.2.3:1:0'].map(code)).toEqual(Array(4).fill(undefined));
  });
});
