/**
 * Capstan as certmonger's helper: certmonger starts it for each thing that it wants of the CA, says what in its
 * environment, and reads the answer from its exit code and its output (certmonger's `doc/helpers.txt`).
 */
import { readFile } from 'node:fs/promises';
import { CapstanError, failure, sentenceOf } from '../../errors.ts';
import type { Host } from '../../host/host.ts';
import { version } from '../../version.ts';
import { ANSWERS, type HelperAnswer, type HelperEnvironment, requestOf } from './protocol.ts';

/** What certmonger calls the root certificate; its own choice of a name that nobody else uses. */
const ROOT_NAME = 'Capstan CA';
const CA_FILE = '/etc/capstan/ca.crt';

/** Answers certmonger, but for what `bin/capstan` answers without Node; never throws. */
export async function answerCertmonger(
  openHost: () => Promise<Host>,
  environment: HelperEnvironment,
): Promise<HelperAnswer> {
  const cookie = environment.CERTMONGER_CA_COOKIE;
  switch (environment.CERTMONGER_OPERATION ?? (cookie ? 'POLL' : 'SUBMIT')) {
    case 'SUBMIT':
    case 'POLL':
      return renewal(openHost, environment);
    case 'IDENTIFY':
      return { code: ANSWERS.issued, output: `Capstan ${version()}` };
    case 'GET-SUPPORTED-TEMPLATES':
      return { code: ANSWERS.issued, output: await profiles() };
    case 'FETCH-ROOTS':
      return roots();
    default:
      return { code: ANSWERS.unsupported, output: '' };
  }
}

async function profiles(): Promise<string> {
  const { systemCertificates } = await import('./cluster.ts');
  return [...new Set(systemCertificates().map(({ profile }) => profile))].join('\n');
}

/** The CA's certificate, from root's own file. */
async function roots(): Promise<HelperAnswer> {
  const pem = await readFile(CA_FILE, 'utf8').catch(() => undefined);
  if (pem === undefined) return { code: ANSWERS.unconfigured, output: `There is no ${CA_FILE}.` };
  return { code: ANSWERS.issued, output: `${ROOT_NAME}\n${pem.trim()}` };
}

async function renewal(openHost: () => Promise<Host>, environment: HelperEnvironment): Promise<HelperAnswer> {
  try {
    const request = requestOf(environment);
    const { renewCertificate } = await import('./issue.ts');
    const host = await openHost();
    const answer = await renewCertificate(host, request).catch((error: unknown) => failed(error));
    host.log.write(
      `answered certmonger: ${answer.code}${answer.code === ANSWERS.issued ? '' : ` ${answer.output}`}`,
    );
    return answer;
  } catch (error) {
    return failed(error);
  }
}

/** Errors after which a later try may go well by itself. */
const PASSING = [
  'ca-unreachable',
  'directory-unreachable',
  'certmonger-unreachable',
  'deadline-passed',
  'interrupted',
  'command-interrupted',
  'command-deadline',
];
/** Errors that only a person can mend. */
const UNCONFIGURED = [
  'not-installed',
  'not-root',
  'journal-unreadable',
  'dogtag-missing',
  'roles-unknown',
  'renewal-external',
  'renewal-awaits-repair',
];

function failed(error: unknown): HelperAnswer {
  const wrapped =
    error instanceof CapstanError ? error : failure('unexpected', sentenceOf(error), undefined, error);
  const { code, message, next } = wrapped;
  const output = [message, next].filter(Boolean).join(' ');
  if (PASSING.includes(code)) return { code: ANSWERS.unreachable, output };
  return { code: UNCONFIGURED.includes(code) ? ANSWERS.unconfigured : ANSWERS.rejected, output };
}
