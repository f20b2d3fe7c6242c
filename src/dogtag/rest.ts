import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import { failure, isInterruption, sentenceOf } from '../errors.ts';
import type { DeadlineName } from '../host/deadlines.ts';
import type { Host } from '../host/host.ts';
import { within } from '../host/wait.ts';

/** A client certificate of an agent of the CA, PEM. */
export interface AgentCredentials {
  certificate: string;
  key: string;
}

/** How a CA is reached and trusted. */
export interface CaAddress {
  hostname: string;
  /** The CA certificate, PEM; nothing else is trusted. */
  caCertificate: string;
  /** Where the REST resources are (`dogtag/version`): `/ca/rest`. */
  restPath: string;
  agent?: AgentCredentials;
}

/** A session with the REST interface of a CA. */
export interface CaSession {
  get(path: string): Promise<unknown>;
  post(path: string, body?: unknown): Promise<unknown>;
  close(): void;
}

/**
 * Opens a session: HTTPS with the host name checked, and one cookie, because Dogtag's nonces live in a session.
 * @throws (from its calls) CapstanError `ca-unreachable` (also after the deadline `rest`), `ca-refused`, `interrupted`
 */
export function caSession(host: Host, address: CaAddress): CaSession {
  const { hostname, agent: credentials } = address;
  const agent = new Agent({
    keepAlive: true,
    ca: address.caCertificate,
    ...(credentials && { cert: credentials.certificate, key: credentials.key }),
  });
  let cookie: string | undefined;
  const send = async (method: 'GET' | 'POST', path: string, body?: unknown) => {
    const answer = await exchange(
      host,
      'rest',
      (options, onResponse) => httpsRequest({ ...options, agent }, onResponse),
      {
        hostname,
        port: 8443,
        method,
        path: address.restPath + path,
        headers: {
          accept: 'application/json',
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...(cookie && { cookie }),
        },
      },
      body === undefined ? undefined : JSON.stringify(body),
    );
    host.log.write(`${method} https://${hostname}:8443${address.restPath}${path}: ${answer.status}`);
    cookie = answer.cookie ?? cookie;
    return parsed(answer, `${method} ${path}`);
  };
  return {
    get: (path) => send('GET', path),
    post: (path, body) => send('POST', path, body),
    close: () => agent.destroy(),
  };
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

/** One request and its whole answer, under a deadline. */
async function exchange(
  host: Host,
  deadline: DeadlineName,
  send: Send,
  options: Exchange,
  body?: string,
): Promise<Answer> {
  const { hostname, port, method, path } = options;
  try {
    return await within(host, deadline, `the CA at ${hostname} (${method} ${path})`, (signal) =>
      answered((onResponse) => send({ ...options, signal }, onResponse), body),
    );
  } catch (error) {
    if (isInterruption(error)) throw error;
    throw failure(
      'ca-unreachable',
      `The CA at ${hostname}:${port} does not answer ${method} ${path}: ${sentenceOf(error)}`,
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

function parsed(answer: Answer, what: string): unknown {
  const body = answer.body.trim();
  let value: unknown;
  try {
    value = body === '' ? undefined : JSON.parse(body);
  } catch {
    value = undefined;
  }
  if (answer.status >= 200 && answer.status < 300) return value;
  const said =
    (value as { Message?: string } | undefined)?.Message ?? body.replaceAll(/<[^>]*>/g, ' ').slice(0, 200);
  throw failure('ca-refused', `The CA answered ${what} with HTTP ${answer.status}: ${said}`);
}
