/**
 * Loaded before a worker (`node --import`): at the first SIGUSR2 its wall clock leaps by TIDEMILL_CHAOS_CLOCK_JUMP_MS, as after
 * a correction of the machine's time. Monotonic time and timers go on.
 */
const jumpMs = Number(process.env['TIDEMILL_CHAOS_CLOCK_JUMP_MS'] ?? 0);
const trueNow = Date.now.bind(Date);

process.once('SIGUSR2', () => {
  const TrueDate = Date;
  globalThis.Date = class extends TrueDate {
    constructor(...args: readonly unknown[]) {
      if (args.length === 0) super(trueNow() + jumpMs);
      else super(...(args as [number]));
    }
    static override now(): number {
      return trueNow() + jumpMs;
    }
  } as DateConstructor;
  process.stderr.write(`the clock has jumped to ${new Date().toISOString()}\n`);
});
