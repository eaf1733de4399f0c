import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { createMetrics } from '../../../../workers/monitoring/metrics.js';
import { METRICS } from '../../../../workers/monitoring/metricNames.js';
import { scoredRows } from '../../../../workers/monitoring/measuredScorer.js';
import type { ScoredRow } from '../../../../scoring/scorer.js';

const job = { job: 'score.m', generation: '2' };

describe('metrics', () => {
  test('are read when they are asked for; a series whose task went elsewhere is gone', async () => {
    let tasks = ['a-0', 'a-1'];
    let reads = 0;
    const metrics = createMetrics((set) => {
      reads++;
      set('tidemill_stream_folded_records_total', job, 40 * reads);
      for (const task of tasks) set('tidemill_stream_restore_progress_ratio', { ...job, task }, 0.5);
    });
    expect(reads).toBe(0);
    const first = await metrics.text();
    expect(first).toMatch(/^tidemill_stream_folded_records_total\{job="score.m",generation="2"\} 40$/m);
    expect(first).toMatch(/^tidemill_stream_restore_progress_ratio\{.*task="a-1"\} 0\.5$/m);
    tasks = ['a-0'];
    const second = await metrics.text();
    expect(second).toMatch(/^tidemill_stream_folded_records_total\{.*\} 80$/m);
    expect(second).not.toContain('task="a-1"');
  });

  test('durations are counted in buckets', async () => {
    const metrics = createMetrics(() => undefined);
    for (const seconds of [0.004, 0.02, 30]) metrics.observe('tidemill_stream_commit_duration_seconds', job, seconds);
    const text = await metrics.text();
    expect(text).toMatch(/^tidemill_stream_commit_duration_seconds_bucket\{le="0\.005",.*\} 1$/m);
    expect(text).toMatch(/^tidemill_stream_commit_duration_seconds_bucket\{le="\+Inf",.*\} 3$/m);
    expect(text).toMatch(/^tidemill_stream_commit_duration_seconds_count\{.*\} 3$/m);
  });

  test('those of the process are there under their usual names', async () => {
    const text = await createMetrics(() => undefined).text();
    for (const name of [
      'process_cpu_seconds_total',
      'process_resident_memory_bytes',
      'nodejs_eventloop_lag_p99_seconds',
    ])
      expect(text).toMatch(new RegExp(`^${name} \\S+$`, 'm'));
  });

  test('are those of the guide, name by name', async () => {
    const guide = await readFile('docs/guides/operations.md', 'utf8');
    const rows = [...guide.matchAll(/^\| `(tidemill_\w+)` *\| (\w+) *\| ([^|]*) *\| ([^|]*)\|$/gm)].map(
      ([, name, type, labels, help]) => [name, type, labels?.trim(), help?.trim()],
    );
    expect(rows).toEqual(
      Object.entries(METRICS).map(([name, { type, labels, help }]) => [
        name,
        type,
        labels.map((label) => `\`${label}\``).join(' '),
        help,
      ]),
    );
  });
});

test('rows are counted by the version that served them', () => {
  const counts = scoredRows();
  const rows = (text: string): ScoredRow[] =>
    [...text].map((sign) => ({ version: Number(sign), role: sign === '2' ? 'challenger' : 'champion' }) as ScoredRow);
  counts.add(rows('1122'));
  counts.add(rows('211'));
  expect([...counts.counts()]).toEqual([
    { version: 1, role: 'champion', rows: 4 },
    { version: 2, role: 'challenger', rows: 3 },
  ]);
});
