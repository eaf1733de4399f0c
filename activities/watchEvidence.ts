import type { OutcomeRecord, PredictionRecord } from '../contracts/records.js';
import { LOOKS, type Look, type Watch } from '../contracts/rollout.js';
import { hashOf } from '../features/hash.js';
import type { CompiledModel } from '../models/definition.js';
import { OperationalEvidence } from '../models/gates/operationalEvidence.js';
import { decided } from '../models/gates/operationalVerdicts.js';
import {
  judgeProbation,
  pairedOutcomes,
  PROBATION_SHARES,
  probationDecided,
  probationGates,
} from '../models/gates/outcomeEvidence.js';
import type { SkewFound } from '../models/gates/skewCounts.js';
import type { Verdict } from '../models/gates/verdict.js';

/** Evidence of one watch, fed record by record. */
export interface WatchEvidence {
  /** Rows that count towards what is wanted. */
  readonly seen: number;
  observe(record: PredictionRecord & OutcomeRecord): void;
  /** What an audit of the watch's rows found; absent where no gate asks. */
  readonly observeSkew?: (found: SkewFound) => void;
  judge(look: number): readonly Verdict[];
  /** What may be judged at any time without spending anything; empty where nothing may. */
  judgeEarly(): readonly Verdict[];
  /** What the verdicts of a look come to; `isComplete` where all that the watch asks for is there. */
  decide(verdicts: readonly Verdict[], look: number, isComplete: boolean): Look['decision'];
}

/** Rows of the candidate's arm, or positives, at which a look is due; null where time alone decides. */
export function dueAt({ wanted }: Watch, look: number): number | null {
  return wanted === null ? null : Math.ceil((wanted * look) / LOOKS);
}

/** Bounds are tightest at about so many requests where the watch asks for time, not requests. */
export const BAKE_TUNED_FOR = 2_000;

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
    observeSkew: (found) => evidence.observeSkew(found),
    judge: (look) => evidence.judge(look),
    judgeEarly: () => evidence.judge(0),
    // A phase is also there to see that nothing comes up while it lasts: it does not pass before its end.
    decide: (verdicts, _look, isComplete) => decided(verdicts, isComplete),
  };
}

/**
 * Labels of requests made since the promotion that both versions scored. Looks at labels spend their share of the error:
 * nothing is judged between two looks, and a look sees no more than the positives that make it due.
 */
export function outcomeWatch(
  model: CompiledModel,
  watch: Watch,
  epoch: number,
  token: number,
  due: number | null,
): WatchEvidence {
  const { absence, horizonMs } = model.label;
  const outcomes: OutcomeRecord[] = [];
  /** Where no label means a negative, positives come first: requests count once their negatives would be there, too. */
  let waiting: OutcomeRecord[] = [];
  /** Before, none of those that wait is to be counted. */
  let nextAt = Number.POSITIVE_INFINITY;
  let knownUpTo = Number.NEGATIVE_INFINITY;
  let positives = 0;
  const count = (record: OutcomeRecord): void => {
    if (due !== null && positives >= due) return;
    if (record.label === 1 && record.revision === 0) positives++;
    outcomes.push(record);
  };
  const champion = watch.version;
  const predecessor = watch.reference ?? 0;
  return {
    get seen() {
      return positives;
    },
    observe: (record) => {
      // One that turned out to be censored takes the place of what was believed of it.
      if (record.source === 'censored' && record.revision === 0) return;
      if (record.epoch < epoch) return;
      const isScoredBy = (wanted: number): boolean =>
        record.version === wanted || record.others.some(({ version }) => version === wanted);
      if (!isScoredBy(champion) || !isScoredBy(predecessor)) return;
      if (absence === 'missing') {
        count(record);
        return;
      }
      waiting.push(record);
      nextAt = Math.min(nextAt, record.at + horizonMs);
      if (record.knownAt <= knownUpTo) return;
      knownUpTo = record.knownAt;
      if (nextAt > knownUpTo) return;
      const isMature = ({ at }: OutcomeRecord): boolean => at + horizonMs <= knownUpTo;
      const mature = waiting.filter(isMature);
      waiting = waiting.filter((each) => !isMature(each));
      nextAt = waiting.reduce((least, { at }) => Math.min(least, at + horizonMs), Number.POSITIVE_INFINITY);
      for (const each of mature) count(each);
    },
    judge: (look) =>
      judgeProbation(pairedOutcomes(outcomes, { champion, predecessor }), {
        gates: probationGates(model.gates),
        looks: { shares: PROBATION_SHARES, look },
        seed: hashOf([model.name, champion, predecessor, token, look]),
      }),
    judgeEarly: () => [],
    decide: (verdicts, look) => probationDecided(verdicts, { shares: PROBATION_SHARES, look }),
  };
}
