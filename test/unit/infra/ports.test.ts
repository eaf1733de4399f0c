import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { answers, freePort, portHolder, requirePort } from '../../../infra/ports.js';

test('a free port is free, and a taken one names who holds it', async () => {
  const port = await freePort();
  expect(await answers(port)).toBe(false);
  await requirePort('kafka', port);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  try {
    expect(await answers(port)).toBe(true);
    const canTell = existsSync('/proc/net/tcp');
    expect(await portHolder(port)).toBe(canTell ? process.pid : null);
    const expected = canTell ? `process ${process.pid} (${process.execPath}` : 'another process';
    await expect(requirePort('kafka', port)).rejects.toMatchObject({
      code: 'RUNTIME_PORT_TAKEN',
      message: expect.stringContaining(`kafka: port ${port} is taken by ${expected}`) as string,
      details: { service: 'kafka', port, pid: canTell ? process.pid : null },
    });
  } finally {
    server.close();
  }
  expect(await portHolder(port)).toBeNull();
});
