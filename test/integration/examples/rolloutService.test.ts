import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RolloutServer } from '../../support/rolloutServer.js';

/** The example as it is run: a process of its own against a project that it knows by its id alone. */
describe('the service that drives rollouts', () => {
  let server: RolloutServer;
  let service: ChildProcess;
  let url: string;
  beforeAll(async () => {
    server = await RolloutServer.start();
    service = spawn(process.execPath, [join(process.cwd(), 'dist', 'examples', 'service', 'main.js')], {
      env: server.env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(service.stdout as NonNullable<typeof service.stdout>, 'data')) as [Buffer];
    url = /http:\S+/.exec(line.toString())?.[0] as string;
  });
  afterAll(async () => {
    const ended = once(service, 'exit');
    service.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
    await server.stop();
  });

  const post = (path: string, body: unknown): Promise<Response> =>
    fetch(`${url}${path}`, { method: 'POST', body: JSON.stringify(body) });
  const progressOf = (workflowId: string): string => `${url}/progress?workflow=${encodeURIComponent(workflowId)}`;

  test('starts a retrain, streams it to its end, and rolls back', async () => {
    // Nobody is live: a rollout that does not allow that is told so, and ends.
    const first = await server.client.requestRetrain('automatic', { allowNoInstances: true });
    await server.client.retrainResult(first.workflowId);
    await server.atRest('automatic');

    const begun = await post('/models/automatic/retrain', { reason: 'new terminals', by: 'olga' });
    expect(begun.status).toBe(202);
    const { workflowId } = (await begun.json()) as { workflowId: string };
    // A page that is left ends the watching, not the rollout.
    const left = await fetch(progressOf(workflowId));
    expect(left.headers.get('content-type')).toBe('text/event-stream');
    await left.body?.cancel();
    while ((await server.lifecycle.retrainStatus(workflowId)).phase !== 'prepare') await sleep(100);
    await server.lifecycle.temporal.workflow.getHandle(workflowId).cancel();
    const events = (await (await fetch(progressOf(workflowId))).text()).split('\n\n');
    expect(events[0]).toMatch(/^event: step\ndata: \{"kind":"step","step":"lease"/);
    expect(events.some((event) => event.startsWith('event: result\n') && event.includes('notPromoted'))).toBe(true);
    await server.atRest('automatic');

    const status = (await (await fetch(`${url}/models/automatic`)).json()) as object;
    expect(status).toMatchObject({ model: 'automatic', rollout: null });
    const impossible = await post('/models/automatic/rollback', { reason: 'first of all', by: 'olga' });
    expect(impossible.status).toBe(409);
    expect(await impossible.json()).toMatchObject({ code: 'ROLLBACK_IMPOSSIBLE' });

    const second = await server.client.requestRetrain('automatic', { allowNoInstances: true });
    await server.client.retrainResult(second.workflowId);
    await server.atRest('automatic');
    const back = await post('/models/automatic/rollback', { reason: 'blocks good customers', by: 'olga' });
    expect(back.status).toBe(200);
    expect(await back.json()).toMatchObject({ outcome: 'rolledBack', to: 1 });
  });

  test('reports what is wrong as problem JSON with the code', async () => {
    const model = await post('/models/nosuch/retrain', { reason: 'x', by: 'olga' });
    expect([model.status, model.headers.get('content-type')]).toEqual([422, 'application/problem+json']);
    expect(await model.json()).toMatchObject({ code: 'DEFINITION_INVALID' });
    expect((await post('/models/fraud/retrain', { reason: 'x' })).status).toBe(422);
    expect((await fetch(progressOf('rollouts/retrain/none'))).status).toBe(404);
    expect((await fetch(progressOf(''))).status).toBe(404);
    const broken = await post('/models/%E0%A4%A/retrain', { reason: 'x', by: 'olga' });
    expect([broken.status, await broken.json()]).toMatchObject([422, { code: 'INPUT_INVALID' }]);
    expect((await fetch(`${url}/elsewhere`)).status).toBe(404);
  });
});
