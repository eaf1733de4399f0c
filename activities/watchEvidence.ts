import type { OutcomeRecord, PredictionRecord } from '../contracts/records.js';
import { LOOKS, type Watch } from '../contracts/rollout.js';
import { hashOf } from '../features/hash.js';
import type { CompiledModel } from '../models/definition.js';
import { OperationalEvidence } from '../models/gates/operationalEvidence.js';
import { judgeProbation, type ProbationRow } from '../models/gates/outcomeEvidence.js';
import type { Verdict } from '../models/gates/verdict.js';

/** Evidence of one watch, fed record by record. */
export interface WatchEvidence {
  /** Rows that count towards what is wanted. */
  readonly seen: number;
  observe(record: PredictionRecord & OutcomeRecord): void;
  judge(look: number): readonly Verdict[];
  /** What may be judged at any time without spending anything; empty where nothing may. */
  judgeEarly(): readonly Verdict[];
}

/** Bounds are tightest at about so many requests where the watch asks for time, not requests. */
const BAKE_TUNED_FOR = 2_000;

/** Errors, latency and agreement on the predictions of the watch's deployment. */
export function operationalWatch(model: CompiledModel, watch: Watch, epoch: number): WatchEvidence {
  const evidence = new OperationalEvidence({
    gates: model.gates.operational,
    challenger: watch.version,
    champion: watch.reference,
    mode: watch.kind === 'probation' ? 'bake' : watch.kind,
    requests: watch.wanted ?? BAKE_TUNED_FOR,
  });
  return {
    get seen() {
      return evidence.requests;
    },
    observe: (record) => {
      if (record.epoch === epoch) evidence.observe(record);
    },
    judge: (look) => evidence.judge(look),
    judgeEarly: () => evidence.judge(0),
  };
}

/**
 * Labels of requests made since the promotion that both versions scored. Looks at labels spend their share of the error,
 * so that nothing is judged between two looks.
 */
export function outcomeWatch(model: CompiledModel, watch: Watch, epoch: number, token: number): WatchEvidence {
  const rows: ProbationRow[] = [];
  let positives = 0;
  return {
    get seen() {
      return positives;
    },
    observe: ({ epoch: made, version, score, others, label, entity, id, at }) => {
      if (made < epoch) return;
      const scoreOf = (wanted: number | null): number | null | undefined =>
        version === wanted ? score : others.find((other) => other.version === wanted)?.score;
      const candidate = scoreOf(watch.version);
      const predecessor = scoreOf(watch.reference);
      if (candidate === undefined || candidate === null || predecessor === undefined || predecessor === null) return;
      if (label === 1) positives++;
      rows.push({ id, at, label, entity, candidate, predecessor });
    },
    judge: (look) => {
      const seed = Number.parseInt(hashOf([model.name, watch.version, watch.reference, token, look]).slice(0, 8), 16);
      return judgeProbation(model.gates.refresh, rows, { look, looks: LOOKS, seed });
    },
    judgeEarly: () => [],
  };
}
