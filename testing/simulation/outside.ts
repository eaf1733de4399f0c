import type { Scheduler } from './scheduler.js';

/**
 * An object whose methods work outside of the simulation (inference, files, databases): the scheduler waits for each call
 * before anybody else takes a step.
 *
 * @param before is asked before each call; what it throws is the answer.
 */
export function outside<T extends object>(scheduler: Scheduler, target: T, before?: (method: string) => void): T {
  return new Proxy(target, {
    get: (object, name) => {
      const value: unknown = Reflect.get(object, name);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]): unknown => {
        const refused = refusalOf(before, String(name));
        if (refused !== null) return Promise.reject(refused);
        const result: unknown = Reflect.apply(value, object, args);
        return result instanceof Promise ? scheduler.working(result) : result;
      };
    },
  });
}

function refusalOf(before: ((method: string) => void) | undefined, method: string): Error | null {
  try {
    before?.(method);
    return null;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}
