import { readFileSync } from 'node:fs';

type Environment = Readonly<Record<string, string | undefined>>;

const SETTING = /^([a-zA-Z0-9/.-]+):([1-9]\d*)(:stop)?$/;

/**
 * For chaos tests. `TIDEMILL_FAIL_POINT=after-outputs:3`, or `commit/after-effect:1` in the lifecycle worker, kills this
 * process as `kill -9` would when it gets there for the third time; `after-outputs:3:stop` freezes it there as SIGSTOP would.
 * `@FILE` reads such a setting from the file whenever the process gets SIGUSR2, and counts from then on.
 *
 * Nothing of it is there unless the environment asks, and a production build (NODE_ENV=production) never asks.
 */
export function failPointFrom(env: Environment): (point: string) => void {
  const setting = env['NODE_ENV'] === 'production' ? '' : (env['TIDEMILL_FAIL_POINT'] ?? '');
  if (!setting.startsWith('@')) return armed(setting);
  let reach = armed('');
  process.on('SIGUSR2', () => {
    reach = armed(readFileSync(setting.slice(1), 'utf8').trim());
  });
  return (point) => reach(point);
}

function armed(setting: string): (point: string) => void {
  const match = SETTING.exec(setting);
  if (match === null) return () => undefined;
  const [, wanted, times, stop] = match;
  let left = Number(times);
  return (point) => {
    if (point === wanted && --left === 0) process.kill(process.pid, stop === undefined ? 'SIGKILL' : 'SIGSTOP');
  };
}
