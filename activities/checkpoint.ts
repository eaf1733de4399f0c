import type { Context } from '@temporalio/activity';

/** Tells that work goes on, and ends it where the activity is cancelled. */
export function checkpointOf(
  context: Pick<Context, 'cancellationSignal' | 'cancelled'>,
  beat: (share: number) => void,
): (share: number) => Promise<void> {
  return async (share) => {
    beat(share);
    if (context.cancellationSignal.aborted) await context.cancelled;
  };
}
