import { once } from 'node:events';
import { request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createServer, type Server } from 'node:tls';
import { afterEach, expect, test } from 'vitest';
import { pinnedAgent } from '../../../src/dogtag/pinned.ts';
import { newKey, selfSigned } from '../certificates.ts';

const key = newKey();
const expired = selfSigned({ key, subject: '/CN=ca1.example.test', serial: '02', years: [2020, 2022] });
const other = selfSigned({
  key: newKey(),
  subject: '/CN=ca1.example.test',
  serial: '02',
  years: [2020, 2022],
});

let server: Server | undefined;
let received = '';

afterEach(() => {
  server?.close();
  received = '';
});

/** Asks a server that shows the expired certificate. */
async function asked(pinned: string): Promise<string> {
  server = createServer({ key, cert: expired.toString() }, (socket) => {
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      received += bytes.toString();
      socket.end('HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nwell');
    });
  });
  server.on('tlsClientError', () => {});
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const agent = pinnedAgent(pinned);
  try {
    const sent = request({
      agent,
      hostname: 'localhost',
      host: 'localhost',
      port,
      path: '/secret',
      headers: { a: 'b' },
    });
    sent.end();
    const [response] = await once(sent, 'response');
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  } finally {
    agent.destroy();
  }
}

test('who shows the certificate that is known is spoken to though it has expired', async () => {
  expect(await asked(expired.toString())).toBe('well');
  expect(received).toContain('GET /secret');
});

test('nobody else hears a word, whatever name is in the certificate', async () => {
  await expect(asked(other.toString())).rejects.toThrow('another TLS certificate');
  expect(received).toBe('');
});
