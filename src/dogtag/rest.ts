import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import { failure, isInterruption, sentenceOf } from '../errors.ts';
import type { DeadlineName } from '../host/deadlines.ts';
import type { Host } from '../host/host.ts';
import { within } from '../host/wait.ts';
import { trustAnchor } from '../names/pem.ts';
import type { Secret } from '../secret/secret.ts';
import type { SubsystemName } from './certificates.ts';
import { pinnedAgent } from './pinned.ts';

/** A client certificate of an agent of the CA, PEM. */
export interface AgentCredentials {
  certificate: string;
  key: string;
}

/** A user of the CA with a password. */
export interface CaAccount {
  user: string;
  password: Secret;
}

/** Where a CA is, and what is trusted to be it. */
export interface TrustedCa {
  hostname: string;
  /** The CA certificate, PEM; nothing else is trusted. */
  caCertificate: string;
  /** Who comes, by certificate. */
  agent?: AgentCredentials;
  /** The TLS certificate, PEM, that it shows though it has expired: then exactly that is trusted, and nothing else. */
  shows?: string | undefined;
}

/** How a CA, or the KRA of its instance, is reached and trusted, and as whom. */
export interface CaAddress extends TrustedCa {
  /** Where the REST resources are (`dogtag/version`): `/ca/rest`; {@link kraPath} for the KRA. */
  restPath: string;
  account?: CaAccount;
}

/** Where the REST resources of the KRA are, from where those of the CA are. */
export function kraPath(restPath: string): string {
  return restPath.replace(/^\/ca\//, '/kra/');
}

/** A session with the REST interface of a CA, or of a KRA. */
export interface CaSession {
  get(path: string): Promise<unknown>;
  post(path: string, body?: unknown): Promise<unknown>;
  close(): void;
}

/**
 * Opens a session: HTTPS with the host name checked, and one cookie, because Dogtag's nonces live in a session. An
 * account's password is sent until there is a cookie, with the login that is.
 * @throws (from its calls) CapstanError `ca-unreachable` (also after the deadline `rest`), `ca-login-refused`,
 * `ca-refused`, or the same of a KRA (`kra-unreachable`...), `interrupted`
 */
export function caSession(host: Host, address: CaAddress): CaSession {
  const { hostname, account } = address;
  const agent = tlsAgent(address);
  let cookie: string | undefined;
  const send = async (method: 'GET' | 'POST', path: string, body?: unknown) => {
    const headers = {
      accept: 'application/json',
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(cookie ? { cookie } : account && { authorization: basic(account) }),
    };
    const request = { hostname, method, path: address.restPath + path, headers };
    const answer = await overTls(host, agent, request, body === undefined ? undefined : JSON.stringify(body));
    const subsystem = subsystemAt(address.restPath);
    if (answer.status === 401) throw loginRefused(subsystem, hostname, account);
    cookie = answer.cookie ?? cookie;
    return parsed(answer, subsystem, `${method} ${path}`);
  };
  return {
    get: (path) => send('GET', path),
    post: (path, body) => send('POST', path, body),
    close: () => agent.destroy(),
  };
}

function tlsAgent({ caCertificate, agent, shows }: TrustedCa): Agent {
  const identity = agent && { cert: agent.certificate, key: agent.key };
  if (shows !== undefined) return pinnedAgent(shows, identity);
  return new Agent({ keepAlive: true, ...trustAnchor(caCertificate), ...identity });
}

function basic({ user, password }: CaAccount): string {
  return `Basic ${Buffer.from(`${user}:${password.reveal()}`).toString('base64')}`;
}

function loginRefused(subsystem: SubsystemName, hostname: string, account: CaAccount | undefined) {
  return failure(
    `${subsystem.toLowerCase()}-login-refused`,
    account
      ? `The ${subsystem} at ${hostname} does not let ${account.user} in with the ${account.password.what}.`
      : `The ${subsystem} at ${hostname} does not take the certificate of the agent.`,
  );
}

/** Whose page a path is: every subsystem has its own tree. */
function subsystemAt(path: string): SubsystemName {
  return path.startsWith('/kra/') ? 'KRA' : 'CA';
}

/**
 * Sends a form to one of the CA's older pages, which answer in XML; HTTPS with the host name checked.
 * @param path with its `/ca`
 * @returns the body, whatever it says; these pages tell of failures in it
 * @throws CapstanError `ca-unreachable` (also after the deadline `rest`), `ca-refused` for other answers than HTTP 200,
 * `interrupted`
 */
export async function postForm(
  host: Host,
  ca: TrustedCa,
  path: string,
  fields: Readonly<Record<string, string>>,
): Promise<string> {
  const { hostname } = ca;
  const agent = tlsAgent(ca);
  try {
    const headers = { accept: 'application/xml', 'content-type': 'application/x-www-form-urlencoded' };
    const request = { hostname, method: 'POST', path, headers };
    const answer = await overTls(host, agent, request, new URLSearchParams(fields).toString());
    if (answer.status === 200) return answer.body;
    throw failure('ca-refused', `The CA at ${hostname} answered POST ${path} with HTTP ${answer.status}.`);
  } finally {
    agent.destroy();
  }
}

/**
 * The answer to a plain HTTP request of a public page of the CA.
 * @throws CapstanError `ca-unreachable` (also after the deadline `http`), `interrupted`
 */
export async function publicPage(
  host: Host,
  hostname: string,
  path: string,
): Promise<{ status: number; body: string }> {
  return exchange(host, 'http', (options, onResponse) => httpRequest(options, onResponse), {
    hostname,
    port: 8080,
    method: 'GET',
    path,
    headers: { accept: 'application/json, application/xml;q=0.9, */*;q=0.1' },
  });
}

interface Answer {
  status: number;
  body: string;
  cookie: string | undefined;
}

type Send = (
  options: Exchange & { signal: AbortSignal },
  onResponse: (response: IncomingMessage) => void,
) => ClientRequest;

interface Exchange {
  hostname: string;
  port: number;
  method: string;
  path: string;
  headers: Record<string, string>;
}

/** One request over verified TLS and its whole answer, noted in the log. */
async function overTls(
  host: Host,
  agent: Agent,
  request: Omit<Exchange, 'port'>,
  body?: string,
): Promise<Answer> {
  const send: Send = (options, onResponse) => httpsRequest({ ...options, agent }, onResponse);
  const answer = await exchange(host, 'rest', send, { ...request, port: 8443 }, body);
  const { method, hostname, path } = request;
  host.log.write(`${method} https://${hostname}:8443${path}: ${answer.status}`);
  return answer;
}

/** One request and its whole answer, under a deadline. */
async function exchange(
  host: Host,
  deadline: DeadlineName,
  send: Send,
  options: Exchange,
  body?: string,
): Promise<Answer> {
  const { hostname, port, method, path } = options;
  const subsystem = subsystemAt(path);
  try {
    return await within(host, deadline, `the ${subsystem} at ${hostname} (${method} ${path})`, (signal) =>
      answered((onResponse) => send({ ...options, signal }, onResponse), body),
    );
  } catch (error) {
    if (isInterruption(error)) throw error;
    throw failure(
      `${subsystem.toLowerCase()}-unreachable`,
      `The ${subsystem} at ${hostname}:${port} does not answer ${method} ${path}: ${sentenceOf(error)}`,
      'Look at "systemctl status pki-tomcatd@pki-tomcat" and the logs under /var/log/pki/pki-tomcat.',
      error,
    );
  }
}

function answered(
  send: (onResponse: (response: IncomingMessage) => void) => ClientRequest,
  body: string | undefined,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = send((response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          body: Buffer.concat(chunks).toString('utf8'),
          cookie: response.headers['set-cookie']?.map((line) => line.split(';')[0]).join('; '),
        }),
      );
    });
    request.on('error', reject);
    request.end(body);
  });
}

function parsed(answer: Answer, subsystem: SubsystemName, what: string): unknown {
  const body = answer.body.trim();
  let value: unknown;
  try {
    value = body === '' ? undefined : JSON.parse(body);
  } catch {
    value = undefined;
  }
  if (answer.status >= 200 && answer.status < 300) return value;
  const said = (value as { Message?: string } | undefined)?.Message ?? textOf(body).slice(0, 200);
  throw failure(
    `${subsystem.toLowerCase()}-refused`,
    `The ${subsystem} answered ${what} with HTTP ${answer.status}: ${said}`,
  );
}

/** The words of a page of HTML. */
function textOf(page: string): string {
  return page
    .replaceAll(/<style\b[\s\S]*?<\/style>/gi, ' ')
    .replaceAll(/<[^>]*>/g, ' ')
    .replaceAll(/\s+/g, ' ')
    .trim();
}
