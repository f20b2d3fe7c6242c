import { X509Certificate } from 'node:crypto';
import { failure } from '../errors.ts';
import type { CaSession } from './rest.ts';

/** The profile for TLS servers; since 10.10 it copies the common name to the subject alternative names. */
export const SERVER_PROFILE = 'caServerCert';

interface RequestInfos {
  entries?: { requestID?: string; requestURL?: string; requestStatus?: string; errorMessage?: string }[];
}

/** What the agent's review calls the permission to issue beyond the end of the CA's own certificate (`CAValidityDefault`). */
const BEYOND_CA = 'bypassCAnotafter';

/**
 * Has the CA issue a certificate for a PKCS#10 request: submit, review, approve, fetch.
 * @param session of an agent
 * @param beyondCa whether it may end later than the CA's own certificate; for a renewal of that one, which Dogtag would have
 *   end with the old one otherwise (10.10.2)
 * @returns the certificate, PEM
 * @throws CapstanError `enrollment-failed`, `ca-refused`, `ca-unreachable`
 */
export async function enroll(
  session: CaSession,
  profile: string,
  request: string,
  beyondCa = false,
): Promise<string> {
  await session.get('/account/login');
  const id = await submit(session, profile, request);
  const review = await session.get(`/agent/certrequests/${id}`);
  await session.post(`/agent/certrequests/${id}/approve`, beyondCa ? withBeyondCa(review) : review);
  const { certId, requestStatus } = (await session.get(`/certrequests/${id}`)) as Record<
    string,
    string | undefined
  >;
  if (!certId) {
    throw failure(
      'enrollment-failed',
      `The CA approved request ${id} but issued no certificate; its state is ${requestStatus ?? 'unknown'}.`,
      'A signature that fails leaves requests in this state: check that the HSM answers.',
    );
  }
  const { Encoded } = (await session.get(`/certs/${certId}`)) as { Encoded: string };
  return new X509Certificate(Encoded).toString();
}

/** A review that lets the certificate end later than the CA's; one of a profile that does not know of it stays as it is. */
export function withBeyondCa(review: unknown): unknown {
  return JSON.parse(JSON.stringify(review), (_, value: unknown) =>
    typeof value === 'object' && value !== null && 'name' in value && value.name === BEYOND_CA
      ? { ...value, Value: 'true' }
      : value,
  );
}

async function submit(session: CaSession, profile: string, request: string): Promise<string> {
  const answer = (await session.post('/certrequests', {
    ProfileID: profile,
    Renewal: false,
    Input: [
      input('i1', 'certReqInputImpl', { cert_request_type: 'pkcs10', cert_request: request }),
      input('i2', 'submitterInfoInputImpl', {
        requestor_name: 'Capstan',
        requestor_email: '',
        requestor_phone: '',
      }),
    ],
  })) as RequestInfos;
  const [entry] = answer.entries ?? [];
  // Dogtag 10 and 11 name the request by its URL, REST v2 by its id alone.
  const id = entry?.requestID ?? entry?.requestURL?.split('/').at(-1);
  if (!id || entry?.requestStatus === 'rejected') {
    throw failure(
      'enrollment-failed',
      `The CA rejected a request for profile ${profile}: ${entry?.errorMessage ?? 'no reason given'}`,
    );
  }
  return id;
}

function input(id: string, classId: string, values: Record<string, string>) {
  return {
    id,
    ClassID: classId,
    Attribute: Object.entries(values).map(([name, Value]) => ({ name, Value })),
  };
}
