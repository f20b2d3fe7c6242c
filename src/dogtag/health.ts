import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { CapstanError, failure } from '../errors.ts';
import { longerHint } from '../host/deadlines.ts';
import { endOfFile } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { withPrivateFolder } from '../secret/private-file.ts';
import { AGENT_CERTIFICATE } from './agent.ts';
import type { SubsystemName } from './certificates.ts';
import { SERVER_PROFILE } from './enroll.ts';
import { publicPage } from './rest.ts';
import type { DogtagProfile } from './version.ts';

const SEE_LOGS = 'Look at the logs under /var/log/pki/pki-tomcat.';

/**
 * What a subsystem says of itself: `running` when it has started. It says so, too, while its HSM is gone
 * and while its profiles are not loaded: see {@link checkProfiles}, {@link checkSignature} and `recoverProof`.
 * @throws CapstanError `ca-unreachable`, `ca-unwell`; `kra-unreachable`, `kra-unwell`
 */
export async function checkStatus(
  host: Host,
  hostname: string,
  profile: Pick<DogtagProfile, 'statusFormat'>,
  subsystem: SubsystemName = 'CA',
): Promise<string> {
  const path = subsystem.toLowerCase();
  const { status, body } = await publicPage(host, hostname, `/${path}/admin/${path}/getStatus`);
  const word = status === 200 ? statusWord(body, profile.statusFormat) : `HTTP ${status}`;
  if (word === 'running') return word;
  const message = `The ${subsystem} at ${hostname} is not running: ${word}.`;
  throw subsystem === 'CA' ? unwell(message) : failure('kra-unwell', message, SEE_LOGS);
}

/** The status in an answer of getStatus: XML up to 10.x, JSON from 11.0 (dogtagpki, `GetStatus`). */
export function statusWord(body: string, format: DogtagProfile['statusFormat']): string {
  if (format === 'xml') return /<Status>([^<]*)<\/Status>/.exec(body)?.[1] ?? 'unreadable answer';
  try {
    const { Response } = JSON.parse(body) as { Response?: { Status?: string; status?: string } };
    return Response?.Status ?? Response?.status ?? 'unreadable answer';
  } catch {
    return 'unreadable answer';
  }
}

/**
 * Whether the CA can read its profiles from LDAP. When its monitor thread is dead, getStatus says `running`
 * and every enrolment is refused with "Profile not found" (seen with 10.10.2).
 * @throws CapstanError `ca-unreachable`, `ca-unwell`
 */
export async function checkProfiles(host: Host, hostname: string, restPath: string): Promise<string> {
  const { status } = await publicPage(host, hostname, `${restPath}/certrequests/profiles/${SERVER_PROFILE}`);
  if (status !== 200) {
    throw unwell(
      `The CA at ${hostname} does not know its profile ${SERVER_PROFILE} (HTTP ${status}); it cannot issue certificates.`,
      'Check that the USN plug-in of the directory is on; "capstan restart" has the CA read its profiles again.',
    );
  }
  return SERVER_PROFILE;
}

/**
 * Has the CA make a signature now: an OCSP response on a certificate that it issued, with a nonce so that it cannot be an
 * old one, verified by openssl(1). The OCSP signing key lies on the token, so a CA that lost its HSM fails here.
 * @param caCertificate PEM
 * @throws CapstanError `ca-unwell` (also after the deadline `signature`), `command-interrupted`
 */
export async function checkSignature(host: Host, hostname: string, caCertificate: string): Promise<string> {
  const serial = `0x${await issuedSerial(new X509Certificate(caCertificate))}`;
  const { stdout, stderr, exitCode } = await withPrivateFolder(async (folder) => {
    const ca = folder.write('ca.crt', caCertificate);
    const args = [
      'ocsp',
      '-issuer',
      ca,
      '-serial',
      serial,
      '-url',
      `http://${hostname}:8080/ca/ocsp`,
      '-CAfile',
      ca,
      // Another authority may have signed the CA; it is trusted all the same.
      '-partial_chain',
    ];
    const options = {
      deadline: 'signature',
      what: `a signature of the CA at ${hostname}`,
      accept: [0, 1, 2],
    } as const;
    return host.run('openssl', args, options).catch((error: unknown) => {
      throw isLate(error)
        ? unsigned(
            `The CA at ${hostname} made no signature within ${host.deadlines.signature} s (${longerHint('signature')}).`,
          )
        : error;
    });
  });
  const said = `${stdout}\n${stderr}`;
  if (exitCode !== 0 || !said.includes('Response verify OK') || said.includes('no nonce in response')) {
    throw unsigned(
      `The CA at ${hostname} made no valid OCSP signature: ${said.trim().split('\n').at(-1) ?? 'no answer'}`,
    );
  }
  return 'OCSP response signed and verified';
}

/**
 * The serial number of a certificate that the CA issued: its own; where another authority signed it, that of the agent
 * of this host. Dogtag answers nothing about one that it does not have (10.10.2).
 */
async function issuedSerial(ca: X509Certificate): Promise<string> {
  if (ca.subject === ca.issuer) return ca.serialNumber;
  const pem = await readFile(AGENT_CERTIFICATE, 'utf8').catch(() => undefined);
  const agent = pem === undefined ? undefined : new X509Certificate(pem);
  // Before there is an agent: the first number that such a CA gives.
  return agent?.checkIssued(ca) ? agent.serialNumber : '1';
}

/** Bytes at the end of the log of the self tests in which those of the last start are. */
const SELF_TESTS = 64 * 1024;

/**
 * How the self tests of a subsystem went when they ran last, as its own log tells.
 * @throws CapstanError `ca-self-tests-failed`, `kra-self-tests-failed`; an ENOENT where it never started
 */
export async function checkSelfTests(instance: string, subsystem: SubsystemName = 'CA'): Promise<string> {
  const name = subsystem.toLowerCase();
  const text = await endOfFile(`/var/log/pki/${instance}/${name}/selftests.log`, SELF_TESTS);
  const failed = failedSelfTests(text);
  if (failed.length === 0) return 'passed';
  throw failure(
    `${name}-self-tests-failed`,
    `The self tests of the ${subsystem} failed when they ran last: ${failed.join('; ')}`,
  );
}

/** What the last run of self tests in a log did not pass; see {@link checkSelfTests}. */
export function failedSelfTests(text: string): string[] {
  const begun = text.lastIndexOf('Initializing self test plugins');
  return text
    .slice(Math.max(0, begun))
    .split('\n')
    .filter((line) => /FAILED|failure/.test(line))
    .map((line) => line.replace(/^.*?\](?: \[\d+\])+ /, '').trim());
}

/** Whether a program was ended at its deadline. */
function isLate(error: unknown): boolean {
  return error instanceof CapstanError && error.code === 'command-deadline';
}

function unsigned(message: string) {
  return unwell(
    message,
    'When the HSM and the directory answer, "capstan restart" brings the CA back: Dogtag does not reconnect to an HSM it has lost.',
  );
}

function unwell(message: string, next?: string) {
  return failure('ca-unwell', message, next ?? SEE_LOGS);
}
