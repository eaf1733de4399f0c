import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { isTidemillError, TidemillError, type TidemillClient } from 'tidemill/client';

/** Enough for a reason; more is refused before it is read. */
const MAX_BODY_BYTES = 10_000;

interface Asked {
  readonly reason: string;
  readonly by: string;
}

/**
 * A service of a team that drives rollouts from its own pages: it starts a retrain, streams how it goes, and rolls back.
 *
 *   POST /models/MODEL/retrain    {"reason": "…", "by": "…"}  -> 202 {"workflowId": "…"}
 *   GET  /progress?workflow=ID                                -> server-sent events, one per change, to the end
 *   POST /models/MODEL/rollback   {"reason": "…", "by": "…"}  -> 200 {"outcome": "rolledBack", …}
 *   GET  /models/MODEL                                        -> 200 {"rollout": …, "cases": […], …}
 *
 * Errors are problem JSON with Tidemill's code. Whoever reaches it may roll out: put your own login before it, and take
 * `by` from there.
 */
export function createRolloutService(client: TidemillClient): Server {
  return createServer((request, response) => {
    handle(client, request, response).catch((error: unknown) => {
      sendProblem(response, error);
    });
  });
}

async function handle(client: TidemillClient, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://service');
  const [, models, model = '', action] = url.pathname.split('/').map(decoded);
  if (request.method === 'GET' && url.pathname === '/progress') {
    await streamProgress(client, url.searchParams.get('workflow') ?? '', response);
  } else if (request.method === 'GET' && models === 'models' && action === undefined) {
    send(response, 200, await client.status(model));
  } else if (request.method === 'POST' && models === 'models' && action === 'retrain') {
    const { reason, by } = await askedIn(request);
    send(response, 202, await client.requestRetrain(model, { reason, requestedBy: by }));
  } else if (request.method === 'POST' && models === 'models' && action === 'rollback') {
    const { reason, by } = await askedIn(request);
    send(response, 200, await client.rollback(model, { reason, requestedBy: by }));
  } else {
    send(response, 404, { title: 'There is nothing here.', status: 404 });
  }
}

/** @throws TidemillError INPUT_INVALID */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new TidemillError('INPUT_INVALID', `the path has ${JSON.stringify(part)}, which is not percent-encoded text`);
  }
}

/** One event per change; the browser's EventSource shows them as they come. Closing the page ends the watching alone. */
async function streamProgress(client: TidemillClient, workflowId: string, response: ServerResponse): Promise<void> {
  const left = new AbortController();
  response.once('close', () => {
    left.abort();
  });
  for await (const change of client.watch({ workflowId }, { signal: left.signal })) {
    // The head waits for the first change: a workflow that there is not is a 404, not an empty stream.
    if (!response.headersSent)
      response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.write(`event: ${change.kind}\ndata: ${JSON.stringify(change)}\n\n`);
  }
  response.end();
}

/** @throws TidemillError INPUT_INVALID */
async function askedIn(request: IncomingMessage): Promise<Asked> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) {
    text += String(chunk);
    if (text.length > MAX_BODY_BYTES)
      throw new TidemillError('INPUT_INVALID', `the body is over ${MAX_BODY_BYTES} bytes`);
  }
  const { reason, by } = jsonObject(text);
  if (typeof reason !== 'string' || reason === '' || typeof by !== 'string' || by === '')
    throw new TidemillError('INPUT_INVALID', 'the body is not {"reason": "…", "by": "…"}');
  return { reason, by };
}

function jsonObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function send(response: ServerResponse, status: number, body: object, type = 'application/json'): void {
  response.writeHead(status, { 'content-type': type }).end(JSON.stringify(body));
}

function sendProblem(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    // The stream has begun: all that is left is to break it off.
    response.destroy();
    return;
  }
  if (isTidemillError(error)) {
    const { status, summary } = error.description;
    const problem = { title: summary, status, detail: error.message, code: error.code, action: error.action };
    send(response, status, problem, 'application/problem+json');
  } else {
    console.error(error);
    send(response, 500, { title: 'The service has a defect.', status: 500 }, 'application/problem+json');
  }
}
