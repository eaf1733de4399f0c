import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TopologyGraph } from '../../../contracts/topologyGraph.js';

const run = promisify(execFile);
const main = join(process.cwd(), 'dist', 'cli', 'main.js');
const moduleOf = (example: string): string => join(process.cwd(), 'dist', 'examples', example, 'project.js');

describe('tidemill stream describe', () => {
  let home: string;
  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'tidemill-describe-'));
  });
  afterAll(() => rm(home, { recursive: true }));

  const describeStreams = async (...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> => {
    // Nothing is asked: no broker is there.
    const env = { ...process.env, TIDEMILL_KAFKA: '127.0.0.1:1' };
    return run(process.execPath, [main, '--home', home, 'stream', 'describe', ...args], { env }).then(
      (done) => ({ code: 0, ...done }),
      (failed: unknown) => failed as { code: number; stdout: string; stderr: string },
    );
  };

  test('describes all topologies of a model without any server', async () => {
    const { stdout } = await describeStreams(
      '--model',
      'fraud',
      '--project',
      moduleOf('fraud'),
      '--project-id',
      'fraud',
      '--json',
    );
    const graphs = JSON.parse(stdout) as TopologyGraph[];
    expect(graphs.map(({ topology }) => topology)).toEqual([
      'score.fraud',
      'archive.fraud',
      'outcome.fraud',
      'monitor.fraud',
      'relay',
      'materialize.customer_spending',
      'materialize.terminal_risk',
    ]);
    const [score] = graphs;
    expect(score?.nodes.flatMap(({ kind, name }) => (kind === 'stage' ? [name] : []))).toEqual([
      'customer',
      'terminal',
    ]);
    expect(score?.edges).toContainEqual({
      from: 'stage:customer',
      to: 'topic:fraud.score.fraud.g1.hop.terminal',
    });
  });

  test('describes windows without a model, as a text or for Graphviz', async () => {
    const project = ['--project', moduleOf('sales'), '--project-id', 'shop'];
    const all = (await describeStreams(...project)).stdout;
    expect(all.match(/^window\.[a-z-]+/gm)).toEqual([
      'window.spend-per-customer',
      'window.sales-per-city',
      'window.visits',
    ]);
    expect(all).toContain('  window: computes sessions with a gap of 10m, told on close, by customer\n');
    const dot = (await describeStreams('window.sales-per-city', ...project, '--dot')).stdout;
    expect(dot).toMatch(/^digraph "window\.sales-per-city" \{\n/);
    expect(dot).toContain('"stage:split" -> "topic:shop.window.sales-per-city.g1.hop.city";');
  });

  test('says what there is where a name is wrong or a model is missing', async () => {
    const project = ['--project', moduleOf('sales'), '--project-id', 'shop'];
    const unknown = await describeStreams('window.nosuch', ...project);
    expect(unknown.code).toBe(2);
    expect(unknown.stderr).toMatch(/^DEFINITION_INVALID: .*there are spend-per-customer, sales-per-city, visits/);
    const missing = await describeStreams('score', ...project);
    expect(missing.code).toBe(2);
    expect(missing.stderr).toMatch(/^USAGE_INVALID: required option '--model <name>'/);
  });
});
