import { readdirSync, readFileSync } from 'node:fs';

/** Clock ticks in a second of /proc: the same on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

export interface Usage {
  /** User and system time so far, of the children that ended, too. */
  readonly cpuSeconds: number;
  /** Greatest memory that each process has held, added up; MB. */
  readonly peakMb: number;
}

/** What processes and all their descendants have used; at once, since they go on while it is read. Linux only. */
export function usageOf(roots: readonly number[]): Usage {
  const processes = readProcesses();
  const wanted = new Set(roots);
  // A child may be listed before its parent: again until nothing is added.
  for (let known = 0; known < wanted.size;) {
    known = wanted.size;
    for (const [pid, { parent }] of processes) if (wanted.has(parent)) wanted.add(pid);
  }
  let ticks = 0;
  let peakKb = 0;
  for (const pid of wanted) {
    ticks += processes.get(pid)?.ticks ?? 0;
    const status = textOf(`/proc/${pid}/status`) ?? '';
    peakKb += Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0);
  }
  return { cpuSeconds: ticks / TICKS_PER_SECOND, peakMb: Math.round(peakKb / 1_024) };
}

function readProcesses(): Map<number, { readonly parent: number; readonly ticks: number }> {
  const processes = new Map<number, { parent: number; ticks: number }>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = textOf(`/proc/${name}/stat`);
    if (stat === null) continue;
    // Behind the name, which may hold spaces: the parent is the 4th field, times (own and of ended children) 14th to 17th.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const ticks = fields.slice(11, 15).reduce((sum, each) => sum + Number(each), 0);
    processes.set(Number(name), { parent: Number(fields[1]), ticks });
  }
  return processes;
}

/** Null where the process is gone. */
function textOf(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
