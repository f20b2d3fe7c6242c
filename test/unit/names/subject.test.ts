import { describe, expect, it } from 'vitest';
import { parseDn } from '../../../src/names/dn.ts';
import { flawOfSubject } from '../../../src/names/subject.ts';

const flaw = (text: string) => flawOfSubject(parseDn(text));

describe('flawOfSubject', () => {
  it.each([
    'CN=Certificate Authority,O=EXAMPLE.TEST',
    'cn=Müller + ou=中,o=Smith\\, Sons,c=DE',
    `CN=${'ä'.repeat(64)}`,
    'E=pki@example.test,SERIALNUMBER=12 a,DC=example,DC=test',
  ])('takes %s', (text) => expect(flaw(text)).toBeUndefined());

  it.each([
    ['CN=a,FOO=b', '"FOO"'],
    ['CN=a,emailAddress=b', '"emailAddress"'],
    ['CN=a,2.5.4.10=b', '"2.5.4.10"'],
    ['CN=a,C=Deutschland', 'capital letters'],
    ['CN=a,C=de', 'capital letters'],
    ['CN=a,SERIALNUMBER=ä', 'must be letters'],
    ['CN=a,DC=ä', 'ASCII'],
    ['CN=a,E=ä@example.test', 'ASCII'],
    ['CN=\\ a', 'blank'],
    ['CN=a\\ ', 'blank'],
    [`CN=a,O=${'x'.repeat(65)}`, '65 characters, and may have 64'],
  ])('refuses %s: %s', (text, reason) => expect(flaw(text)).toContain(reason));
});
