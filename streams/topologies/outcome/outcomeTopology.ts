import type { OutcomeRecord, PredictionRecord } from '../../../contracts/records.js';
import { TidemillError } from '../../../contracts/errors.js';
import {
  hopTopic,
  outcomesTopic,
  predictionsTopic,
  streamTopic,
  type TopologyIdentity,
} from '../../../contracts/topics.js';
import { checkFuture, parseEvent } from '../../../features/eventContract.js';
import type { EventId } from '../../../features/types.js';
import type { CompiledModel } from '../../../models/definition.js';
import type { LogRecord } from '../../../stores/log/log.js';
import { partitionOf } from '../../../stores/log/partitioner.js';
import type { Output, ParsedRecord, StreamTask, Topology } from '../../runtime/topology.js';

/**
 * Joins predictions and labels of a model by event id. Neither topic is keyed by the id, so both hop first:
 *
 *   predictions ─┐
 *                ├─ split ──hop (by id)──▶ join ─▶ outcomes
 *   labels ──────┘
 *
 * Labels that came before the topology's start are history and are not joined.
 */
export function outcomeTopology(options: {
  readonly project: string;
  readonly model: CompiledModel;
  readonly generation: number;
  readonly partitions: number;
}): Topology {
  const { project, model, partitions } = options;
  const identity: TopologyIdentity = { project, name: `outcome.${model.name}`, generation: options.generation };
  const hop = hopTopic(identity, 'event');
  const labels = streamTopic(project, model.label.stream.name);
  return {
    identity,
    sources: [
      { topic: labels, start: 'stored' },
      { topic: predictionsTopic(project, model.name), start: 'earliest' },
      { topic: hop, start: 'earliest' },
    ],
    outputs: [hop, predictionsTopic(project, model.name), outcomesTopic(project, model.name)].map((topic) => ({
      topic,
      partitions,
    })),
    stages: [
      {
        name: 'split',
        does: 'sends predictions and labels on by event id',
        reads: [predictionsTopic(project, model.name), labels],
        keeps: [],
        writes: [hop],
      },
      {
        name: 'join',
        does: 'joins each prediction with its label',
        reads: [hop],
        keeps: ['predictions and labels that wait'],
        writes: [outcomesTopic(project, model.name)],
      },
    ],
    taskOf: ({ topic, partition }) => (topic === hop ? `join-${partition}` : `split-${partition}`),
    createTask: (id) =>
      id.startsWith('join') ? new JoinTask(project, model) : new SplitTask(model, labels, hop, partitions),
  };
}

/** What both sides of the join carry; small, so that millions may wait. */
type Half =
  | ({ readonly side: 'prediction' } & Omit<OutcomeRecord, 'knownAt' | 'label' | 'revision'>)
  | { readonly side: 'label'; readonly id: EventId; readonly knownAt: number; readonly label: number };

class SplitTask implements StreamTask {
  readonly stateIdentity = 'outcome.split/1';
  readonly watermark = null;
  readonly pendingRows = 0;
  private readonly halves: Half[][];

  constructor(
    private readonly model: CompiledModel,
    private readonly labels: string,
    private readonly hop: string,
    partitions: number,
  ) {
    this.halves = Array.from({ length: partitions }, () => []);
  }

  parse(record: LogRecord): ParsedRecord<Half | null> {
    if (record.topic !== this.labels) {
      const prediction = JSON.parse(record.value?.toString('utf8') ?? 'null') as PredictionRecord;
      const { id, at, model, version, role, epoch, score, arm, entity } = prediction;
      const others = prediction.others.flatMap((other) =>
        other.score === null ? [] : [{ version: other.version, score: other.score }],
      );
      return {
        record,
        time: at,
        content: { side: 'prediction', id, at, model, version, role, epoch, score, arm, others, entity },
      };
    }
    const { stream, field } = this.model.label;
    try {
      const event = parseEvent(stream, record.value);
      checkFuture(stream, event.time, record.timestamp);
      return {
        record,
        time: event.time,
        content: { side: 'label', id: event.id, knownAt: event.time, label: Number(event.values[field]) },
      };
    } catch {
      // The score topology reads labels, too, and sets a broken one aside with its reason: once is enough.
      return { record, time: Number.NEGATIVE_INFINITY, content: null };
    }
  }

  fold({ content }: ParsedRecord, _output: Output, replay: boolean): void {
    const half = content as Half | null;
    if (half === null || replay) return;
    (this.halves[partitionOf(String(half.id), this.halves.length)] as Half[]).push(half);
  }

  drain(): Promise<void> {
    return Promise.resolve();
  }

  /** One record per transaction and partition. */
  flush(output: Output): void {
    for (const [partition, halves] of this.halves.entries()) {
      if (halves.length === 0) continue;
      output.emit({ topic: this.hop, partition, key: null, value: JSON.stringify(halves) });
      this.halves[partition] = [];
    }
  }

  committed(): void {
    // There is no state to evict.
  }
  snapshot(): [] {
    return [];
  }
  restore(): void {
    // Nothing is stored.
  }
}

class JoinTask implements StreamTask {
  readonly stateIdentity = 'outcome.join/1';
  readonly watermark = null;
  readonly pendingRows = 0;
  private readonly predictions = new Map<string, Extract<Half, { side: 'prediction' }>>();
  private readonly waitingLabels = new Map<string, Extract<Half, { side: 'label' }>>();
  private dirty = new Set<string>();

  constructor(
    private readonly project: string,
    private readonly model: CompiledModel,
  ) {}

  parse(record: LogRecord): ParsedRecord<readonly Half[]> {
    const halves = JSON.parse(record.value?.toString('utf8') ?? '[]') as Half[];
    return { record, time: record.timestamp, content: halves };
  }

  fold({ content }: ParsedRecord, output: Output, replay: boolean): void {
    for (const half of content as readonly Half[]) {
      const id = String(half.id);
      this.dirty.add(id);
      const prediction = half.side === 'prediction' ? half : this.predictions.get(id);
      const label = half.side === 'label' ? half : this.waitingLabels.get(id);
      if (prediction === undefined || label === undefined) {
        if (half.side === 'prediction') this.predictions.set(id, half);
        else this.waitingLabels.set(id, half);
        continue;
      }
      this.predictions.delete(id);
      this.waitingLabels.delete(id);
      if (replay) continue;
      const { side: _side, ...rest } = prediction;
      const outcome: OutcomeRecord = { ...rest, knownAt: label.knownAt, label: label.label, revision: 0 };
      output.emit({ topic: outcomesTopic(this.project, this.model.name), key: id, value: JSON.stringify(outcome) });
    }
  }

  drain(): Promise<void> {
    return Promise.resolve();
  }
  flush(): void {
    // Outcomes are emitted as they arise.
  }
  committed(): void {
    // A prediction waits until its label is there.
  }

  *snapshot(): Iterable<{ key: Uint8Array; value: Uint8Array | null }> {
    const { dirty } = this;
    this.dirty = new Set();
    for (const id of dirty) {
      const half = this.predictions.get(id) ?? this.waitingLabels.get(id);
      yield { key: Buffer.from(id), value: half === undefined ? null : Buffer.from(JSON.stringify(half)) };
    }
  }

  restore(key: Uint8Array, value: Uint8Array): void {
    try {
      const half = JSON.parse(Buffer.from(value).toString('utf8')) as Half;
      if (half.side === 'prediction') this.predictions.set(Buffer.from(key).toString('utf8'), half);
      else this.waitingLabels.set(Buffer.from(key).toString('utf8'), half);
    } catch (error) {
      throw new TidemillError(
        'STATE_CORRUPT',
        'a waiting prediction in a snapshot cannot be read',
        {},
        { cause: error },
      );
    }
  }
}
