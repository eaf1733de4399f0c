import { readdir, readFile } from 'node:fs/promises';

/** Clock ticks in a second of /proc: the same on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

export interface Usage {
  /** User and system time so far, of the children that ended, too. */
  readonly cpuSeconds: number;
  /** Greatest memory that each process has held, added up; MB. */
  readonly peakMb: number;
}

/** What processes and all their descendants have used; Linux only. */
export async function usageOf(roots: readonly number[]): Promise<Usage> {
  const processes = await readProcesses();
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
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
    peakKb += Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0);
  }
  return { cpuSeconds: ticks / TICKS_PER_SECOND, peakMb: Math.round(peakKb / 1_024) };
}

async function readProcesses(): Promise<Map<number, { readonly parent: number; readonly ticks: number }>> {
  const processes = new Map<number, { parent: number; ticks: number }>();
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => null);
    if (stat === null) continue;
    // Behind the name, which may hold spaces: the parent is the 4th field, times (own and of ended children) 14th to 17th.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const ticks = fields.slice(11, 15).reduce((sum, each) => sum + Number(each), 0);
    processes.set(Number(name), { parent: Number(fields[1]), ticks });
  }
  return processes;
}
