import { describe, expect, test } from 'vitest';
import { enroll, withBeyondCa } from '../../../src/dogtag/enroll.ts';

/** As Dogtag 10.10.2 writes it, without what is the same everywhere. */
const review = (value: string) => ({
  requestId: '21',
  ProfilePolicySet: [
    {
      policies: [
        {
          def: {
            id: 'CA Certificate Validity Default',
            policyAttribute: [
              { name: 'notAfter', Value: '2046-11-23 00:41:41', Descriptor: { Syntax: 'string' } },
              {
                name: 'bypassCAnotafter',
                Value: value,
                Descriptor: { Syntax: 'boolean', DefaultValue: 'false' },
              },
            ],
          },
        },
      ],
    },
  ],
});

describe('the review of a request', () => {
  test('lets the certificate end after that of the CA, and changes nothing else', () => {
    expect(withBeyondCa(review('false'))).toEqual(review('true'));
  });

  test('of a profile that does not know of it stays as it is', () => {
    const other = { requestId: '22', ProfilePolicySet: [{ policies: [] }], Input: null };
    expect(withBeyondCa(other)).toEqual(other);
  });

  test.each([
    [true, review('true')],
    [false, review('false')],
  ])('is approved as it was read, unless the CA renews itself (%s)', async (beyondCa, approved) => {
    const posted: [string, unknown][] = [];
    const session = {
      async get(path: string) {
        if (path.startsWith('/agent/')) return review('false');
        return path === '/certrequests/21' ? { requestStatus: 'complete' } : {};
      },
      async post(path: string, body: unknown) {
        posted.push([path, body]);
        return { entries: [{ requestURL: 'https://ca1/ca/rest/certrequests/21' }] };
      },
      close() {},
    };
    // The end of it needs a certificate, and is the lab's.
    const failed = enroll(session as never, 'caCACert', 'request', beyondCa);
    await expect(failed).rejects.toMatchObject({ code: 'enrollment-failed' });
    expect(posted.at(-1)).toEqual(['/agent/certrequests/21/approve', approved]);
  });
});
