import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTrainingActivities, type FittedModel } from '../../../activities/trainingActivities.js';
import type { BuiltDataset } from '../../../activities/dataset/buildDataset.js';
import type { ActivityDependencies } from '../../../activities/dependencies.js';
import { checkpointIdentity, trainXgboost, type Checkpoint } from '../../../activities/training/trainXgboost.js';
import { fraud } from '../../../examples/fraud/project.js';
import { findXgboostLibrary } from '../../../infra/xgboostLibrary.js';
import { xgboost } from '../../../models/authoring.js';
import type { TrainerSpec } from '../../../models/definition.js';
import { openDiskObjectStore } from '../../../stores/objects/diskObjectStore.js';
import type { ObjectStore } from '../../../stores/objects/objectStore.js';
import type { OfflineStore, VectorMatrix } from '../../../stores/offline/offlineStore.js';
import type { Registry } from '../../../stores/registry/registry.js';
import { openSqliteRegistry } from '../../../stores/registry/sqliteRegistry.js';
import { randomNumbers } from '../../support/payments.js';

const ROWS = 3_000;
const COLUMNS = 4;
const spec = xgboost({ rounds: 30, maxDepth: 3, learningRate: 0.3, segmentRounds: 10 }) as Extract<
  TrainerSpec,
  { kind: 'xgboost' }
>;

describe('a training activity that is attempted again', () => {
  let folder: string;
  let library: string;
  let objects: ObjectStore;
  let registry: Registry;
  let attempts = 0;
  const matrix = vectors();
  const range = [0, ROWS] as const;
  const dataset: BuiltDataset = {
    manifest: { uri: 'objects://manifests/none.json', sha256: 'none' },
    data: { uri: 'objects://datasets/some.parquet', sha256: 'the bytes of the data' },
    rows: ROWS,
    positives: 1,
    asServed: 0,
    columns: matrix.columns,
    nullShares: [],
    labelledShare: 1,
    split: { train: range, test: [0, 500], release: range },
  };
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tidemill-resume-'));
    objects = openDiskObjectStore(join(folder, 'objects'));
    registry = await openSqliteRegistry({ file: join(folder, 'registry.db') });
    library = await findXgboostLibrary();
  });
  afterAll(async () => {
    await registry.close();
    await rm(folder, { recursive: true });
  });

  /** Runs the release fit as an attempt that finds the heartbeat of an earlier one. */
  async function attempt(
    heartbeatDetails: Checkpoint | undefined,
  ): Promise<{ fitted: FittedModel; warnings: string[]; read: string[] }> {
    const read: string[] = [];
    const warnings: string[] = [];
    const dependencies: Partial<ActivityDependencies> = {
      registry,
      modelOf: () => ({ ...fraud.compiled, trainer: spec }),
      online: () => {
        throw new Error('nothing is read online');
      },
      xgboostLibrary: () => Promise.resolve(library),
      objects: {
        ...objects,
        put: (...args) => objects.put(...args),
        putFile: (...args) => objects.putFile(...args),
        localPath: () => Promise.resolve('the file of the data'),
        get: (uri, sha256) => {
          read.push(uri);
          return objects.get(uri, sha256);
        },
      },
      offline: { readVectors: () => Promise.resolve(matrix) } as Partial<OfflineStore> as OfflineStore,
    };
    const silent = (): void => undefined;
    const warn = (message: string): void => void warnings.push(message);
    const environment = new MockActivityEnvironment(
      { heartbeatDetails },
      { logger: { log: silent, trace: silent, debug: silent, info: silent, warn, error: silent } },
    );
    const { model, token } = await registry.openRollout('fraud', `attempt ${++attempts}`, 'manual');
    const activities = createTrainingActivities(dependencies as ActivityDependencies);
    const fitted = await environment.run<[], FittedModel, () => Promise<FittedModel>>(() =>
      activities.fitRelease({ model, token }, dataset),
    );
    return { fitted, warnings, read };
  }

  /** The checkpoint after ten rounds, as an attempt that died would have left it. */
  async function checkpointOf(of: string): Promise<Checkpoint> {
    let saved: Promise<Checkpoint> | null = null;
    await trainXgboost({
      library,
      spec,
      train: { rows: ROWS, columns: COLUMNS, values: matrix.values, labels: matrix.labels as Float64Array },
      onSegment: (rounds, model) => {
        saved ??= objects.put('checkpoints', 'json', model).then(({ uri, sha256 }) => ({ rounds, uri, sha256, of }));
      },
    });
    return saved as unknown as Promise<Checkpoint>;
  }
  const identity = checkpointIdentity({ dataset: dataset.data.sha256, range, spec });

  test('goes on from its own checkpoint, and ends in the very same model', async () => {
    const whole = await attempt(undefined);
    expect(whole.read).toEqual([]);
    const checkpoint = await checkpointOf(identity);
    const resumed = await attempt(checkpoint);
    expect(resumed.read).toEqual([checkpoint.uri]);
    expect(resumed.warnings).toEqual([]);
    expect(resumed.fitted).toEqual({ ...whole.fitted, resumedAt: 10 });
  });

  test.each([
    ['data', checkpointIdentity({ dataset: 'other bytes', range, spec })],
    ['rows', checkpointIdentity({ dataset: dataset.data.sha256, range: [0, 100], spec })],
    ['parameters', checkpointIdentity({ dataset: dataset.data.sha256, range, spec: { ...spec, maxDepth: 4 } })],
  ])('starts anew from a checkpoint of other %s, and says so', async (_, of) => {
    const { fitted, warnings, read } = await attempt(await checkpointOf(of));
    expect(read).toEqual([]);
    expect(warnings).toEqual(['training starts anew: the checkpoint is of other data or parameters']);
    expect(fitted).toEqual((await attempt(undefined)).fitted);
  });

  test('starts anew where the checkpoint is gone, and says so', async () => {
    const lost = { rounds: 10, uri: `objects://checkpoints/${'0'.repeat(64)}.json`, sha256: '0'.repeat(64) };
    const { fitted, warnings } = await attempt({ ...lost, of: identity });
    expect(warnings).toEqual([expect.stringMatching(/^training starts anew: .*0000/)]);
    expect(fitted).toEqual((await attempt(undefined)).fitted);
  });
});

function vectors(): VectorMatrix {
  const random = randomNumbers(5);
  const values = Float64Array.from({ length: ROWS * COLUMNS }, () => Math.round(random() * 1_000) / 10);
  return {
    rows: ROWS,
    columns: Array.from({ length: COLUMNS }, (_, at) => `column ${at}`),
    values,
    times: Float64Array.from({ length: ROWS }, (_, row) => row),
    ids: Array.from({ length: ROWS }, (_, row) => row),
    entities: Array.from({ length: ROWS }, () => null),
    labels: Float64Array.from({ length: ROWS }, (_, row) =>
      (values[row * COLUMNS] as number) > 70 && random() < 0.8 ? 1 : 0,
    ),
    knownAt: new Float64Array(ROWS),
    requests: null,
  };
}
