import type { FailPoint } from '../streams/runtime/taskContext.js';

/**
 * For chaos tests: `TIDEMILL_FAIL_POINT=after-outputs:3` kills this process as `kill -9` would when it gets there for the
 * third time.
 */
export function failPointFrom(setting: string | undefined): (point: FailPoint) => void {
  const match = setting === undefined ? null : /^([a-z-]+):(\d+)$/.exec(setting);
  if (match === null) return () => undefined;
  let left = Number(match[2]);
  return (point) => {
    if (point === match[1] && --left === 0) process.kill(process.pid, 'SIGKILL');
  };
}
