import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { wayTo } from '../../../src/flow/preflight-replica.ts';
import { openHost } from '../../../src/host/host.ts';
import { noLog } from '../../../src/host/log.ts';

/** An address that belongs to this machine and to nobody else's test. */
const HERE = '127.0.92.1';
const PORT = 636;
const received: Buffer[] = [];
const sockets = new Set<Socket>();
let server: Server;

beforeAll(async () => {
  server = createServer((socket) => {
    sockets.add(socket);
    socket.on('data', (data: Buffer) => received.push(data));
    socket.on('error', () => {});
  });
  server.listen(PORT, HERE);
  await once(server, 'listening');
});
afterAll(() => {
  for (const socket of sockets) socket.destroy();
  server.close();
});

test('the way to a port where somebody listens is open, and nothing is sent', async () => {
  expect(await wayTo(openHost(noLog), HERE, PORT)).toBeUndefined();
  expect(received).toEqual([]);
});

test('the answer that nobody listens is told', async () => {
  expect(await wayTo(openHost(noLog), HERE, PORT + 1)).toBe('ECONNREFUSED');
});

test('a way that is interrupted is no closed one', async () => {
  await expect(wayTo(openHost(noLog, AbortSignal.abort()), HERE, PORT)).rejects.toMatchObject({ exit: 130 });
});
