import { connect, isIP, type Socket } from 'node:net';
import { connect as connectSecurely } from 'node:tls';
import type { ISocketFactory } from 'kafkajs';

/** Idle connections are probed by the system after this. */
const KEEP_ALIVE_MS = 60_000;

/**
 * Longer than any answer may take: a member that joins is answered when the slowest of the group has, within 30 s and the time
 * that the client library adds.
 */
const SILENCE_MS = 40_000;

/**
 * Opens connections that end by themselves when nothing has been heard for too long although something was asked. Where a broker,
 * or what lies in between, is gone without a word, the client library gives its requests up one by one, and sends the next
 * one down the same connection for ever.
 *
 * @param silenceMs default: SILENCE_MS.
 */
export function watchedSockets(silenceMs = SILENCE_MS): ISocketFactory {
  return ({ host, port, ssl, onConnect }) => {
    // The library says null where TLS is not spoken.
    const isSecure = (ssl as typeof ssl | null | undefined) !== null && (ssl as typeof ssl | undefined) !== undefined;
    const servername = isIP(host) === 0 ? { servername: host } : {};
    const socket: Socket = isSecure
      ? connectSecurely({ host, port, ...servername, ...ssl }, onConnect)
      : connect({ host, port }, onConnect);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    watch(socket, silenceMs);
    return socket;
  };
}

function watch(socket: Socket, silenceMs: number): void {
  /** Bytes that had been sent when something was last heard. */
  let answered = 0;
  let waitingSince: number | null = null;
  socket.on('data', () => {
    answered = socket.bytesWritten;
    waitingSince = null;
  });
  const timer = setInterval(() => {
    if (socket.bytesWritten <= answered) return;
    const now = performance.now();
    waitingSince ??= now;
    if (now - waitingSince >= silenceMs) socket.destroy(new Error(`nothing was heard for ${silenceMs} ms`));
  }, silenceMs / 8);
  timer.unref();
  socket.on('close', () => clearInterval(timer));
}
