import { once } from 'node:events';
import { createConnection, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { END_TXN, Proxy } from '../../../../bench/chaos/streams/proxy.js';

/** A request as Kafka frames it: its length, its kind, the rest. */
function request(apiKey: number, rest = 'xyz'): Buffer {
  const bytes = Buffer.alloc(6 + rest.length);
  bytes.writeInt32BE(2 + rest.length, 0);
  bytes.writeInt16BE(apiKey, 4);
  bytes.write(rest, 6);
  return bytes;
}

/** `once` would fail with the reset that is wanted. */
const ended = (client: Socket): Promise<unknown> => new Promise((resolve) => client.once('close', resolve));

describe('the proxy', () => {
  let server: Server;
  let proxy: Proxy;
  let received: Buffer;
  const clients: Socket[] = [];
  beforeEach(async () => {
    received = Buffer.alloc(0);
    server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (chunk: Buffer) => {
        received = Buffer.concat([received, chunk]);
        socket.write(chunk);
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    proxy = await Proxy.start((server.address() as AddressInfo).port);
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy();
    await proxy.close();
    server.close();
  });

  const connect = async (): Promise<Socket> => {
    const client = createConnection(proxy.port, '127.0.0.1');
    clients.push(client);
    client.on('error', () => undefined);
    await once(client, 'connect');
    return client;
  };
  const answered = async (client: Socket, bytes: Buffer): Promise<string> => {
    client.write(bytes);
    const [answer] = (await once(client, 'data')) as [Buffer];
    return answer.toString('hex');
  };

  test('passes on what both ends say, slow or not', async () => {
    const client = await connect();
    expect(await answered(client, request(3))).toBe(request(3).toString('hex'));
    proxy.delay(20);
    expect(await answered(client, request(4))).toBe(request(4).toString('hex'));
  });

  test('cuts every connection, and says how many there were', async () => {
    const client = await connect();
    await answered(client, request(3));
    const closed = ended(client);
    expect(proxy.cut()).toBe(1);
    await closed;
    expect(proxy.cut()).toBe(0);
  });

  test('swallows what comes on the connections that there are, and passes that of later ones', async () => {
    const client = await connect();
    await answered(client, request(3));
    expect(proxy.swallow()).toBe(1);
    const before = received.length;
    client.write(request(3));
    expect(await answered(await connect(), request(5))).toBe(request(5).toString('hex'));
    expect(received.length).toBe(before + request(5).length);
    expect(client.destroyed).toBe(false);
  });

  test.each(['before', 'after'] as const)('strikes one request of a kind, %s the server has it', async (when) => {
    const client = await connect();
    await answered(client, request(3));
    proxy.strike({ apiKey: END_TXN, when });
    expect(await answered(client, request(3))).toBe(request(3).toString('hex'));
    expect(proxy.struck).toBe(0);
    const before = received.length;
    let answer = 0;
    client.on('data', (chunk: Buffer) => (answer += chunk.length));
    const closed = ended(client);
    client.write(request(END_TXN));
    await closed;
    expect({ struck: proxy.struck, answer }).toEqual({ struck: 1, answer: 0 });
    expect(received.length - before).toBe(when === 'before' ? 0 : request(END_TXN).length);
    expect(await answered(await connect(), request(END_TXN))).toBe(request(END_TXN).toString('hex'));
  });

  test('finds a request that comes in pieces, and none in the body of another', async () => {
    proxy.strike({ apiKey: END_TXN, when: 'before' });
    const client = await connect();
    // The body looks like a request of that kind.
    const decoy = request(3, request(END_TXN).toString('latin1'));
    await answered(client, decoy);
    expect(proxy.struck).toBe(0);
    const closed = ended(client);
    const bytes = request(END_TXN);
    client.write(bytes.subarray(0, 5));
    await new Promise((resolve) => setImmediate(resolve));
    client.write(bytes.subarray(5));
    await closed;
    expect(proxy.struck).toBe(1);
  });
});
