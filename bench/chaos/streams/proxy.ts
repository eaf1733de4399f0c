import { createConnection, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** Number of EndTxn among the requests of Kafka's protocol: it commits or aborts. */
export const END_TXN = 26;

/** What a request of Kafka's protocol is met with: cut before the broker sees it, or after, before its answer comes back. */
export interface RequestFault {
  readonly apiKey: number;
  readonly when: 'before' | 'after';
}

interface Link {
  readonly client: Socket;
  readonly server: Socket;
}

/**
 * Stands between clients and a server, and makes what networks make: it is slow, cuts, or swallows everything while both ends
 * think that they are connected.
 */
export class Proxy {
  private readonly links = new Set<Link>();
  /** Links that nothing passes any more. */
  private readonly dead = new Set<Link>();
  private latencyMs = 0;
  private requestFault: RequestFault | null = null;
  private refuses = false;
  /** How often a request fault has struck. */
  struck = 0;

  private constructor(
    private readonly listener: Server,
    private targetPort: number,
  ) {
    listener.on('connection', (client) => this.link(client));
  }

  /** @param port where it listens; 0 for any free one. */
  static async start(targetPort: number, port = 0): Promise<Proxy> {
    const listener = createServer({ noDelay: true });
    await new Promise<void>((resolve, reject) => {
      listener.once('error', reject);
      listener.listen(port, '127.0.0.1', resolve);
    });
    return new Proxy(listener, targetPort);
  }

  get port(): number {
    return (this.listener.address() as AddressInfo).port;
  }

  get connections(): number {
    return this.links.size;
  }

  /** Where new connections lead; those that there are stay where they are. */
  retarget(port: number): void {
    this.targetPort = port;
  }

  /** Everything takes so much longer, each way. */
  delay(latencyMs: number): void {
    this.latencyMs = latencyMs;
  }

  /** Resets every connection. Returns how many there were. */
  cut(): number {
    const cut = this.links.size;
    for (const { client, server } of this.links) {
      client.resetAndDestroy();
      server.resetAndDestroy();
    }
    this.links.clear();
    return cut;
  }

  /** Nothing passes the present connections any more, and neither end is told. Returns how many they are. */
  swallow(): number {
    for (const link of this.links) this.dead.add(link);
    return this.links.size;
  }

  /** The next request of that kind ends its connection. */
  strike(fault: RequestFault): void {
    this.requestFault = fault;
  }

  /** Refuses or accepts new connections. */
  refuse(refuses: boolean): void {
    this.refuses = refuses;
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise<void>((resolve) => this.listener.close(() => resolve()));
  }

  private link(client: Socket): void {
    if (this.refuses) {
      client.resetAndDestroy();
      return;
    }
    const server = createConnection({ host: '127.0.0.1', port: this.targetPort, noDelay: true });
    const link: Link = { client, server };
    this.links.add(link);
    const end = (): void => {
      this.links.delete(link);
      this.dead.delete(link);
      client.destroy();
      server.destroy();
    };
    for (const socket of [client, server]) {
      socket.on('error', end);
      socket.on('close', end);
    }
    const frames = new Frames();
    this.pass(link, client, server, (chunk) => {
      const fault = this.requestFault;
      if (!frames.has(chunk, fault?.apiKey ?? null) || fault === null) return true;
      this.requestFault = null;
      this.struck++;
      if (fault.when === 'before') {
        end();
        return false;
      }
      // The request goes through whole; its answer does not.
      this.dead.add(link);
      server.write(chunk, () => setTimeout(end, ANSWERED_MS));
      return false;
    });
    this.pass(link, server, client, () => true);
  }

  private pass(link: Link, from: Socket, to: Socket, mayPass: (chunk: Buffer) => boolean): void {
    /** Chunks keep their order, whatever the latency is meanwhile. */
    let last = Promise.resolve();
    from.on('data', (chunk: Buffer) => {
      if (this.dead.has(link) || !mayPass(chunk)) return;
      if (this.latencyMs === 0 && to.writableLength === 0) last = last.then(() => send(to, chunk));
      else {
        const due = performance.now() + this.latencyMs;
        last = last.then(async () => {
          const wait = due - performance.now();
          if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
          if (!this.dead.has(link)) send(to, chunk);
        });
      }
    });
  }
}

/** Long enough for the broker to do what it was asked. */
const ANSWERED_MS = 200;

function send(to: Socket, chunk: Buffer): void {
  if (to.writable) to.write(chunk);
}

/** Follows the requests of one connection: four bytes of length, two of the kind, the rest. */
class Frames {
  private left = 0;
  private head = Buffer.alloc(0);

  /** Does a request of that kind begin in this chunk? */
  has(chunk: Buffer, apiKey: number | null): boolean {
    let found = false;
    let at = 0;
    while (at < chunk.length) {
      if (this.left > 0) {
        const skipped = Math.min(this.left, chunk.length - at);
        this.left -= skipped;
        at += skipped;
        continue;
      }
      const wanted = 6 - this.head.length;
      this.head = Buffer.concat([this.head, chunk.subarray(at, at + wanted)]);
      at += wanted;
      if (this.head.length < 6) break;
      if (this.head.readInt16BE(4) === apiKey) found = true;
      this.left = this.head.readInt32BE(0) - 2;
      this.head = Buffer.alloc(0);
    }
    return found;
  }
}
