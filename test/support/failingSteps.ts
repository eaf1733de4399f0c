import { TidemillError } from '../../contracts/errors.js';
import type { FailPoint } from '../../streams/runtime/taskContext.js';

/** Every step of a recovery and of a commit. */
export const STEPS: readonly FailPoint[] = [
  'after-fence',
  'before-begin',
  'after-begin',
  'after-outputs',
  'after-offsets',
  'after-commit',
];

/** Makes tasks fail at steps: afterwards nobody knows whether the transaction happened. */
export class FailingSteps {
  readonly failures: FailPoint[] = [];
  private readonly times = new Map<FailPoint, number>();

  /** @param chance of a failure at a step; besides, each fails once for certain. */
  constructor(
    private readonly random: () => number,
    private readonly chance = 0.04,
  ) {}

  readonly reach = (point: FailPoint): void => {
    if (!STEPS.includes(point)) return;
    const times = (this.times.get(point) ?? 0) + 1;
    this.times.set(point, times);
    if (times !== 3 && this.random() > this.chance) return;
    this.failures.push(point);
    throw new TidemillError('PRODUCER_UNUSABLE', `injected ${point}`);
  };
}
