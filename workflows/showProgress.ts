import { defineQuery, setCurrentDetails, setHandler } from '@temporalio/workflow';
import type { ProgressStatus } from '../contracts/rollout.js';
import { QUERY_STATUS } from '../contracts/workflows.js';
import { describeSteps } from './describe.js';

/** What a short workflow shows of itself: its phase and its finished steps, in the UI and to the query `status`. */
export function showProgress(model: string): {
  enter(phase: string): void;
  done(step: string, result: string): void;
} {
  const steps: { step: string; result: string }[] = [];
  let phase = 'starting';
  const show = (): void => {
    setCurrentDetails(describeSteps(model, phase, steps));
  };
  setHandler(defineQuery<ProgressStatus>(QUERY_STATUS), (): ProgressStatus => ({ model, phase, steps }));
  return {
    enter: (next) => {
      phase = next;
      show();
    },
    done: (step, result) => {
      steps.push({ step, result });
      show();
    },
  };
}
