/**
 * For chaos tests: `TIDEMILL_FAIL_POINT=after-outputs:3`, or `commit/after-effect:1` in the lifecycle worker, kills this process as `kill -9` would when it gets there for the
 * third time.
 */
export function failPointFrom(setting: string | undefined): (point: string) => void {
  const match = setting === undefined ? null : /^([a-zA-Z0-9/.-]+):(\d+)$/.exec(setting);
  if (match === null) return () => undefined;
  let left = Number(match[2]);
  return (point) => {
    if (point === match[1] && --left === 0) process.kill(process.pid, 'SIGKILL');
  };
}
