import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { failPointFrom } from '../../../workers/failPoint.js';

describe('a fail point', () => {
  const kill = vi.spyOn(process, 'kill');
  beforeEach(() => {
    kill.mockReset();
    kill.mockReturnValue(true);
  });
  afterEach(() => {
    process.removeAllListeners('SIGUSR2');
  });

  test('kills the process when it is reached for the given time, and never again', () => {
    const reach = failPointFrom({ TIDEMILL_FAIL_POINT: 'after-outputs:2' });
    reach('after-outputs');
    reach('before-begin');
    expect(kill).not.toHaveBeenCalled();
    reach('after-outputs');
    reach('after-outputs');
    expect(kill.mock.calls).toEqual([[process.pid, 'SIGKILL']]);
  });

  test('may freeze the process instead', () => {
    failPointFrom({ TIDEMILL_FAIL_POINT: 'after-outputs:1:stop' })('after-outputs');
    expect(kill.mock.calls).toEqual([[process.pid, 'SIGSTOP']]);
  });

  test('of a file is armed when the process is told so, and as the file is then', () => {
    const folder = mkdtempSync(join(tmpdir(), 'tidemill-failpoint-'));
    try {
      const file = join(folder, 'armed');
      const reach = failPointFrom({ TIDEMILL_FAIL_POINT: `@${file}` });
      writeFileSync(file, 'after-commit:1\n');
      reach('after-commit');
      expect(kill).not.toHaveBeenCalled();
      process.emit('SIGUSR2');
      reach('after-commit');
      expect(kill).toHaveBeenCalledTimes(1);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test.each(['', 'after-outputs', 'after-outputs:0', 'after-outputs:x', ':1'])('is not there for %j', (setting) => {
    const reach = failPointFrom({ TIDEMILL_FAIL_POINT: setting });
    for (let times = 0; times < 3; times++) reach('after-outputs');
    expect(kill).not.toHaveBeenCalled();
  });

  test.each(['after-outputs:1', '@/nowhere'])('cannot be reached in production, whatever is asked: %j', (setting) => {
    const reach = failPointFrom({ NODE_ENV: 'production', TIDEMILL_FAIL_POINT: setting });
    reach('after-outputs');
    expect(process.listenerCount('SIGUSR2')).toBe(0);
    expect(kill).not.toHaveBeenCalled();
  });
});
