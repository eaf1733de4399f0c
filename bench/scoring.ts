import type { DeploymentRecord } from '../contracts/records.js';
import { fraud } from '../examples/fraud/project.js';
import type { Booster } from '../models/onnx/booster.js';
import { boosterToOnnx } from '../models/onnx/treeEnsemble.js';
import { createScoringEngine } from '../scoring/engine.js';
import type { Scorer } from '../scoring/scorer.js';
import { fullBooster, spread } from './fullBooster.js';

/**
 * Cost of one row in the scoring engine, by rows per batch: 100 full trees of depth 6 over the fraud project's inputs,
 * the conversion to float32 and the decisions included, on one thread; for a champion alone, and with a challenger of the
 * same size beside it, in shadow and in a canary of half.
 *
 * Microseconds per row.
 *
 *   node scripts/run.mjs dist/bench/scoring.js [--json]
 */
const TREES = 100;
const DEPTH = 6;
const ROWS = 200_000;
const ROUNDS = 5;
const POOL_ROWS = 65_536;
const BATCHES = [1, 8, 32, 128, 256, 1_024, 4_096];

const { service } = fraud.compiled;
const width = service.columns.length;

const below = spread(1);
const boosters = [1, 2].map(() => fullBooster({ columns: width, trees: TREES, depth: DEPTH, below }));
const MODES: readonly DeploymentRecord['mode'][] = ['single', 'shadow', 'canary'];

// Every batch is of other rows: over the same few again and again the processor learns the way through the trees.
const pool = Float64Array.from({ length: POOL_ROWS * width }, () => below(100));
const poolRequests = Array.from({ length: POOL_ROWS }, (_, row) => [row, 0, 1, 2, below(50_000)]);
const poolUnits = Array.from({ length: POOL_ROWS }, () => String(below(5_000)));

interface Cost {
  readonly mode: string;
  readonly rowsPerBatch: number;
  readonly microsecondsPerRow: number;
}

async function openEngine(mode: DeploymentRecord['mode']): Promise<Scorer> {
  const engine = createScoringEngine(fraud.compiled, (version) =>
    Promise.resolve(boosterToOnnx(boosters[version - 1] as Booster)),
  );
  const challenger = mode === 'single' ? null : 2;
  const { name: model } = fraud.compiled;
  const deployment = { model, epoch: 1, mode, champion: 1, challenger, share: 0.5, salt: 'bench', prepare: null };
  await engine.prepare(deployment);
  engine.activate(deployment);
  return engine;
}

async function run(engine: Scorer, rowsPerBatch: number, rows: number): Promise<number> {
  let done = 0;
  for (let start = 0; done < rows; done += rowsPerBatch) {
    const end = start + rowsPerBatch;
    const [first] = await engine.score(
      pool.subarray(start * width, end * width),
      rowsPerBatch,
      poolRequests.slice(start, end),
      poolUnits.slice(start, end),
    );
    if (first?.role === 'fallback') throw new Error(`scored by the rules: ${engine.problem}`);
    start = end + rowsPerBatch > POOL_ROWS ? 0 : end;
  }
  return done;
}

const engines: { readonly mode: DeploymentRecord['mode']; readonly engine: Scorer }[] = [];
for (const mode of MODES) engines.push({ mode, engine: await openEngine(mode) });
for (const { engine } of engines) await run(engine, 64, POOL_ROWS);

// The best of some rounds in turn: what else the machine does falls on all modes alike, and is left out as far as may be.
const results: Cost[] = [];
for (const rowsPerBatch of BATCHES) {
  const best = new Map<string, number>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const { mode, engine } of engines) {
      const started = performance.now();
      const done = await run(engine, rowsPerBatch, ROWS / ROUNDS);
      const micros = ((performance.now() - started) * 1_000) / done;
      best.set(mode, Math.min(micros, best.get(mode) ?? Number.POSITIVE_INFINITY));
    }
  }
  for (const [mode, micros] of best)
    results.push({ mode, rowsPerBatch, microsecondsPerRow: Math.round(micros * 100) / 100 });
}
for (const { engine } of engines) await engine.close();
if (process.argv.includes('--json')) console.log(JSON.stringify(results));
else {
  console.table(
    BATCHES.map((rowsPerBatch) => ({
      rowsPerBatch,
      ...Object.fromEntries(
        results
          .filter((each) => each.rowsPerBatch === rowsPerBatch)
          .map((each) => [each.mode, each.microsecondsPerRow]),
      ),
    })),
  );
}
