import { setImmediate as nextTurn } from 'node:timers/promises';
import { compareVectors } from '../../../activities/audit/compareVectors.js';
import { OutcomeRules, type ExpectedRecord, type Outcome } from '../../../activities/audit/expectedOutcomes.js';
import { jsonOf } from '../../../activities/audit/readTopic.js';
import type { CutRecord, PredictionRecord, SetAsideRecord } from '../../../contracts/records.js';
import {
  cutsTopic,
  deadLetterTopic,
  duplicatesTopic,
  lateTopic,
  predictionsTopic,
  streamTopic,
} from '../../../contracts/topics.js';
import type { CompiledStream } from '../../../features/compiledView.js';
import type { LoggedEvent } from '../../../features/types.js';
import type { CompiledModel } from '../../../models/definition.js';
import type { LogRecord } from '../../../stores/log/log.js';

/** What a slice of records came to. */
export interface Verdict {
  /** Live records of the slice, over all streams of the model. */
  readonly records: number;
  /** Records that ended nowhere. */
  readonly lost: number;
  /** Answers beyond the first, whichever slice the record was of. */
  readonly repeated: number;
  /** Answers that had to be others, answers to nothing, and vectors that are not the interpreter's within their cut. */
  readonly wrong: number;
  readonly vectors: number;
  /** The first few of all these, in words. */
  readonly findings: readonly string[];
}

const MAX_FINDINGS = 10;
/** Vectors compared at a time: connections that are passed on by this process must not stand still for long. */
const VECTORS_A_TURN = 1_000;

interface StreamBook {
  readonly stream: CompiledStream;
  readonly rules: OutcomeRules;
  /** Where live records begin, by partition. */
  readonly liveFrom: ReadonlyMap<number, number>;
  /** What the rules say of every record so far, in the order of reading. */
  readonly outcomes: Pick<ExpectedRecord, 'event' | 'outcome' | 'isLateReplay'>[];
}

/**
 * Keeps account of every record of a model's streams: what had to become of it, by rules of its own, and what did.
 *
 *   requests   prediction, duplicate, late or dead letter: exactly one
 *   others     duplicate, late or dead letter: exactly one; where they only feed windows, none
 *
 * Fed with committed records as they come. Answers to a record that is not known yet wait for it.
 */
export class Ledger {
  private readonly books = new Map<string, StreamBook>();
  /** What each live place had to end as; null where nothing is to be written about it. */
  private readonly expected = new Map<string, Outcome | null>();
  /** Live places that have not ended yet. */
  private readonly open = new Set<string>();
  private readonly ended = new Set<string>();
  private readonly early: { readonly place: string; readonly outcome: Outcome }[] = [];
  private readonly cuts = new Map<string, CutRecord>();
  private fresh: PredictionRecord[] = [];
  private records = 0;
  private repeated = 0;
  private wrong = 0;
  private findings: string[] = [];

  constructor(
    private readonly project: string,
    private readonly model: CompiledModel,
    /** Live offsets begin here, by topic and partition. */
    liveFrom: ReadonlyMap<string, ReadonlyMap<number, number>>,
  ) {
    const streams = new Map([model.request, model.label.stream].map((stream) => [stream.name, stream]));
    for (const { view } of model.service.inputs) streams.set(view.stream.name, view.stream);
    for (const stream of streams.values()) {
      const topic = streamTopic(project, stream.name);
      const rules = new OutcomeRules(stream);
      this.books.set(topic, {
        stream,
        rules,
        liveFrom: liveFrom.get(topic) ?? new Map<number, number>(),
        outcomes: [],
      });
    }
  }

  /** Topics whose records it wants. */
  get topics(): readonly string[] {
    const { project, model } = this;
    const answers = [predictionsTopic(project, model.name), cutsTopic(project, model.name)];
    return [...answers, lateTopic(project), duplicatesTopic(project), deadLetterTopic(project), ...this.books.keys()];
  }

  /** Live records that have not ended, and answers whose record has not come. */
  get waiting(): number {
    return this.open.size + this.early.length;
  }

  /** Takes committed records of one of the topics; each partition's in offset order. Returns the predictions among them. */
  read(topic: string, records: readonly LogRecord[]): readonly PredictionRecord[] {
    const { project, model } = this;
    const book = this.books.get(topic);
    if (book !== undefined) {
      for (const record of records) this.expect(topic, book, record);
      this.takeEarly();
      return [];
    }
    switch (topic) {
      case predictionsTopic(project, model.name): {
        const predictions = records.map((record) => jsonOf<PredictionRecord>(record));
        for (const { source } of predictions) this.note(placeOf(source), 'prediction');
        for (const each of predictions) this.fresh.push(each);
        return predictions;
      }
      case cutsTopic(project, model.name):
        for (const cut of records.map((record) => jsonOf<CutRecord>(record))) this.cuts.set(cut.id, cut);
        return [];
      case deadLetterTopic(project):
        for (const { headers } of records) {
          const of = (name: string): string => String(headers[`original-${name}`]);
          if (this.books.has(of('topic'))) this.note(`${of('topic')}/${of('partition')}/${of('offset')}`, 'deadLetter');
        }
        return [];
      default: {
        const outcome = topic === lateTopic(project) ? 'late' : 'duplicate';
        for (const { source } of records.map((record) => jsonOf<SetAsideRecord>(record)))
          this.note(placeOf(source), outcome);
        return [];
      }
    }
  }

  /** Events that count for a view over a stream: neither late nor repeated. */
  events(stream: CompiledStream): readonly LoggedEvent[] {
    const book = this.books.get(streamTopic(this.project, stream.name));
    return (book?.outcomes ?? []).flatMap(({ event, outcome, isLateReplay }) =>
      event !== null && outcome === 'prediction' && isLateReplay !== true ? [event] : [],
    );
  }

  /** Closes a slice: what has not ended is lost, and every vector since the last slice is held against the interpreter. */
  async close(): Promise<Verdict> {
    for (const { place, outcome } of this.early.splice(0))
      this.findWrong(`${place} was answered (${outcome}), and is no record`);
    for (const place of this.open) this.find(`${place} had to end as ${this.expected.get(place)}, and ended nowhere`);
    const lost = this.open.size;
    this.open.clear();
    const predictions = this.fresh;
    this.fresh = [];
    let vectors = 0;
    for (let at = 0; at < predictions.length; at += VECTORS_A_TURN) {
      vectors += await this.compare(predictions.slice(at, at + VECTORS_A_TURN));
      await nextTurn();
    }
    const { records, repeated, wrong, findings } = this;
    [this.records, this.repeated, this.wrong, this.findings] = [0, 0, 0, []];
    return { records, lost, repeated, wrong, vectors, findings };
  }

  private async compare(predictions: readonly PredictionRecord[]): Promise<number> {
    const { project, model } = this;
    const keepMs = Math.max(...model.service.inputs.map((input) => (input.kind === 'view' ? input.view.keepMs : 0)));
    const from = predictions.reduce((least, { at }) => Math.min(least, at), Number.POSITIVE_INFINITY) - keepMs;
    const outcomes = (stream: CompiledStream): StreamBook['outcomes'] =>
      (this.books.get(streamTopic(project, stream.name))?.outcomes ?? []).filter(
        ({ event }) => event !== null && event.time >= from,
      );
    const broken = new Set<string>();
    const { vectorsCompared } = await compareVectors(
      { outcomes: (stream) => Promise.resolve(outcomes(stream)), cuts: () => Promise.resolve([...this.cuts.values()]) },
      project,
      model,
      predictions,
      [],
      (text) => {
        // One finding a column: a vector is wrong once.
        const [prediction = text] = text.split(/[,:]/);
        if (broken.has(prediction)) return;
        broken.add(prediction);
        this.findWrong(text);
      },
      () => undefined,
    );
    return vectorsCompared;
  }

  private expect(topic: string, { rules, liveFrom, outcomes, stream }: StreamBook, record: LogRecord): void {
    const ruled = rules.ofRecord(record);
    outcomes.push(ruled);
    if (record.offset < (liveFrom.get(record.partition) ?? 0)) return;
    const place = placeOf(record);
    const isRequest = stream.name === this.model.request.name;
    const outcome = ruled.outcome === 'prediction' && !isRequest ? null : ruled.outcome;
    this.records++;
    this.expected.set(place, outcome);
    if (outcome !== null) this.open.add(place);
  }

  private takeEarly(): void {
    for (const { place, outcome } of this.early.splice(0)) this.note(place, outcome);
  }

  private note(place: string, outcome: Outcome): void {
    const expected = this.expected.get(place);
    if (expected === undefined) {
      this.early.push({ place, outcome });
      return;
    }
    if (this.ended.has(place)) {
      this.repeated++;
      this.find(`${place} ended once more, as ${outcome}`);
      return;
    }
    this.ended.add(place);
    this.open.delete(place);
    if (outcome !== expected)
      this.findWrong(`${place} had to end as ${expected ?? 'nothing'}, and ended as ${outcome}`);
  }

  private findWrong(text: string): void {
    this.wrong++;
    this.find(text);
  }

  private find(text: string): void {
    if (this.findings.length < MAX_FINDINGS) this.findings.push(text);
  }
}

function placeOf({ topic, partition, offset }: { topic: string; partition: number; offset: number }): string {
  return `${topic}/${partition}/${offset}`;
}
