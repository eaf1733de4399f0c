import type { StreamWorkerStatus } from '../contracts/monitoring.js';
import type { GroupMemberName } from '../stores/log/log.js';

/** A worker that does not answer within this time is left out: the command must not wait for one that is gone. */
const ANSWER_MS = 1_500;

/** Who runs the task of a partition, and what it says about it. */
export interface TaskReport {
  readonly owner: string | null;
  readonly state: string;
  readonly restored: number | null;
  readonly watermark: number | null;
  readonly notes: readonly string[];
}

/**
 * Asks the members of a group what their tasks are doing, at the addresses that they gave to the group. What another process
 * answers there, one that has taken the port since, is not believed.
 *
 * @returns the report of a partition; null where nobody has it.
 */
export async function askWorkers(
  group: string,
  members: readonly GroupMemberName[],
): Promise<(topic: string, partition: number) => TaskReport | null> {
  const reports = new Map<string, TaskReport>();
  await Promise.all(
    members.map(async ({ name, address, partitions }) => {
      const status = address === null ? null : await statusAt(address, name);
      const tasks = status?.topologies.filter((each) => each.group === group).flatMap((each) => each.tasks) ?? [];
      for (const { topic, partition } of partitions) {
        const task = tasks.find(({ inputs }) =>
          inputs.some((input) => input.topic === topic && input.partition === partition),
        );
        reports.set(`${topic}-${partition}`, {
          owner: name,
          state: task?.state ?? 'unknown',
          restored: task?.restored ?? null,
          watermark: task?.watermark ?? null,
          notes: task?.notes ?? [],
        });
      }
    }),
  );
  return (topic, partition) => reports.get(`${topic}-${partition}`) ?? null;
}

async function statusAt(address: string, instance: string): Promise<StreamWorkerStatus | null> {
  try {
    const response = await fetch(`http://${address}/status`, {
      signal: AbortSignal.timeout(ANSWER_MS),
      redirect: 'error',
    });
    const status = (await response.json()) as Partial<StreamWorkerStatus> | null;
    const isIt = response.ok && status?.instance === instance && Array.isArray(status.topologies);
    return isIt ? (status as StreamWorkerStatus) : null;
  } catch {
    // Gone, or on a machine that cannot be reached from here.
    return null;
  }
}
