import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConnectionOptions } from 'node:tls';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { watchedSockets } from '../../../../stores/log/watchedSocket.js';

const SILENCE_MS = 80;

let server: Server;
let isDeaf: boolean;
beforeEach(async () => {
  isDeaf = false;
  server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      if (!isDeaf) socket.write(chunk);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(() => {
  server.close();
});

const open = async (): Promise<Socket> => {
  const { port } = server.address() as AddressInfo;
  // As the library calls it where no TLS is spoken.
  const ssl = null as unknown as ConnectionOptions;
  const socket = watchedSockets(SILENCE_MS)({ host: '127.0.0.1', port, ssl, onConnect: () => undefined });
  await once(socket, 'connect');
  return socket;
};

test('a connection that answers nothing any more ends with an error', async () => {
  const socket = await open();
  socket.write('asked');
  await once(socket, 'data');
  isDeaf = true;
  socket.write('asked again');
  const [error] = (await once(socket, 'error')) as [Error];
  expect(error.message).toBe(`nothing was heard for ${SILENCE_MS} ms`);
  expect(socket.destroyed).toBe(true);
});

test('a connection on which nothing was asked, or all was answered, stays', async () => {
  const [idle, asked] = [await open(), await open()];
  asked.write('asked');
  await once(asked, 'data');
  await sleep(4 * SILENCE_MS);
  expect([idle.destroyed, asked.destroyed]).toEqual([false, false]);
  idle.destroy();
  asked.destroy();
});
