import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { lookAround } from '../../../../examples/fraud/demo/lookAround.js';

test('a shell that sources the file of the demo has every setting, whatever is in its paths', async () => {
  const home = await mkdtemp(join(tmpdir(), "tidemill olga's demo-"));
  try {
    const places = {
      project: 'demo-1',
      projectModule: '/here/project.js',
      kafkaBrokers: ['127.0.0.1:9092', '127.0.0.1:9093'],
      temporalAddress: '127.0.0.1:7233',
      home,
    };
    const said = await lookAround(places, 'fraud');
    const [, source = ''] = /^look around: (\. .*) && npx tidemill models show fraud$/.exec(said) ?? [];
    const names = ['HOME', 'KAFKA', 'TEMPORAL', 'PROJECT', 'PROJECT_ID'].map((name) => `"$TIDEMILL_${name}"`);
    const out = execFileSync('sh', ['-c', `${source}; printf '%s\\n' ${names.join(' ')}`], { encoding: 'utf8' });
    expect(out.trim().split('\n')).toEqual([
      home,
      '127.0.0.1:9092,127.0.0.1:9093',
      '127.0.0.1:7233',
      '/here/project.js',
      'demo-1',
    ]);
  } finally {
    await rm(home, { recursive: true });
  }
});
