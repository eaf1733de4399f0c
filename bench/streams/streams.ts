import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { messageOf } from '../../contracts/errors.js';
import { startKafka } from '../../infra/kafka.js';
import { openKafkaLog } from '../../stores/log/kafkaLog.js';
import { comparePrograms, WrongResults, type ReadyProgram } from './comparePrograms.js';
import { flatness, summarise } from './comparisonSummary.js';
import { bytewax } from './peers/bytewax.js';
import { kafkaStreams, kafkaStreamsOnClose } from './peers/kafkaStreams.js';
import { quix } from './peers/quix.js';
import type { StreamProgram } from './streamProgram.js';

/**
 * One-minute windows {count, sum, mean, max} per user in Tidemill and in other stream processors, side by side on one broker;
 * what is compared and how stands in docs/reference/benchmarks.md.
 *
 *   npm run bench -- streams [--json FILE] [--keys 1000,100000] [--events 1000000] [--rounds 5] [--only tidemill,bytewax]
 *     [--workers 1]
 *
 * Exit code 3 where results differ: then no figure is told.
 */
const PROGRAMS: readonly StreamProgram[] = [kafkaStreams, kafkaStreamsOnClose, quix, bytewax];

const { values } = parseArgs({
  options: {
    events: { type: 'string', default: '1000000' },
    keys: { type: 'string', default: '1000,100000' },
    partitions: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '5' },
    seed: { type: 'string', default: '1' },
    workers: { type: 'string' },
    only: { type: 'string' },
    json: { type: 'string' },
  },
});
const options = {
  events: positive('events', values.events),
  keys: values.keys.split(',').map((text) => positive('keys', text)),
  partitions: positive('partitions', values.partitions),
  rounds: positive('rounds', values.rounds),
  seed: positive('seed', values.seed),
  workers: values.workers === undefined ? null : positive('workers', values.workers),
};
const say = (text: string): void => void process.stderr.write(`${text}\n`);

const { ready, skipped } = await prepare(chosen(values.only));
const directory = await mkdtemp(join(tmpdir(), 'tidemill-bench-'));
const kafka = await startKafka({ directory: join(directory, 'kafka'), memoryMb: 1_024, progress: say });
const log = openKafkaLog({ brokers: [kafka.broker], clientId: 'bench' });
try {
  const runs = await comparePrograms(ready, options, { log, broker: kafka.broker, directory }, say);
  const summary = summarise(runs, options.events);
  const report = {
    suite: 'streams',
    machine: {
      processor: cpus()[0]?.model ?? 'unknown',
      cores: availableParallelism(),
      memoryGb: Math.round(totalmem() / 2 ** 30),
      node: process.versions.node,
    },
    options,
    programs: ready.map(({ program: { name, version, guarantee, workers, workersAre, settings } }) => ({
      name,
      version,
      guarantee,
      [workersAre]: options.workers ?? workers,
      settings,
    })),
    skipped,
    summary,
    flatness: flatness(summary),
    runs,
  };
  if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(report, null, 2)}\n`);
  console.table(
    summary.map(({ keys, program, eventsPerSecond, cpuSecondsPerMillion, peakMb }) => ({
      keys,
      program,
      'events/s': eventsPerSecond.median,
      from: eventsPerSecond.least,
      to: eventsPerSecond.greatest,
      'CPU s per million': cpuSecondsPerMillion.median,
      'peak MB': peakMb.median,
    })),
  );
  for (const { program, ratio } of report.flatness)
    console.log(`${program}: an event costs ${ratio} times as much CPU with the most keys as with the fewest`);
} catch (error) {
  if (!(error instanceof WrongResults)) throw error;
  console.error(error.message);
  process.exitCode = 3;
} finally {
  for (const { name, reason } of skipped) say(`left out: ${name}: ${reason}`);
  await log.close();
  await kafka.stop();
  await rm(directory, { recursive: true });
}

/** A program that cannot be had here is left out, and said to be. */
async function prepare(programs: readonly StreamProgram[]): Promise<{
  readonly ready: readonly ReadyProgram[];
  readonly skipped: readonly { readonly name: string; readonly reason: string }[];
}> {
  const ready: ReadyProgram[] = [];
  const skipped: { name: string; reason: string }[] = [];
  for (const program of programs) {
    try {
      ready.push({ program, launch: await program.prepare(say) });
    } catch (error) {
      const reason = messageOf(error);
      say(`left out: ${program.name}: ${reason}`);
      skipped.push({ name: program.name, reason });
    }
  }
  return { ready, skipped };
}

function chosen(only: string | undefined): readonly StreamProgram[] {
  if (only === undefined) return PROGRAMS;
  return only.split(',').map((name) => {
    const found = PROGRAMS.find((each) => each.name === name);
    if (found === undefined)
      return usage(`there is no ${name}; programs: ${PROGRAMS.map((each) => each.name).join(', ')}`);
    return found;
  });
}

function positive(name: string, text: string): number {
  const value = Number(text);
  return Number.isInteger(value) && value > 0 ? value : usage(`--${name} takes whole numbers above 0, not ${text}`);
}

function usage(text: string): never {
  console.error(text);
  process.exit(2);
}
