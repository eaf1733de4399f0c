import { TidemillError } from '../../contracts/errors.js';
import type { Assignment, ConsumerGroupOptions, GroupMember, Log, TopicPartition } from '../../stores/log/log.js';
import type { Life } from './life.js';
import type { Scheduler } from './scheduler.js';

/**
 * A group member whose process hears of assignments in its own time: what it asks for until then is of an assignment that is
 * over, and nothing comes of it. The group may give the member up (a session that ran out) and take it back; its epochs go
 * on counting.
 */
export class SimulatedMember implements GroupMember {
  private held: GroupMember | null = null;
  private epoch = 0;
  /** Epochs of memberships before this one. */
  private before = 0;
  /** Assignments on their way to the process, in order. */
  private readonly inbox: Assignment[] = [];

  constructor(
    private readonly log: Log,
    private readonly scheduler: Scheduler,
    private readonly life: Life,
    private readonly options: ConsumerGroupOptions,
  ) {}

  async join(): Promise<void> {
    const before = this.epoch;
    this.before = before;
    const { onRecords, onPosition } = this.options;
    this.held = await this.log.join({
      ...this.options,
      onAssigned: ({ epoch, partitions }) => this.assigned({ epoch: before + epoch, partitions }),
      onRecords: (records, epoch) => onRecords(records, before + epoch),
      onPosition: (partition, position, end, epoch) => onPosition(partition, position, end, before + epoch),
    });
  }

  private assigned(assignment: Assignment): void {
    this.epoch = assignment.epoch;
    this.inbox.push(assignment);
    void this.scheduler
      .point(this.life, `assignment of ${this.options.group}`)
      .then(() => this.options.onAssigned(this.inbox.shift() as Assignment));
  }

  get isExpelled(): boolean {
    return this.held === null;
  }

  /** The group hears nothing of it any more. */
  async expel(): Promise<void> {
    const { held } = this;
    this.held = null;
    await held?.leave();
  }

  seekAndResume(partition: TopicPartition, offset: number): void {
    if (this.inbox.length === 0) this.held?.seekAndResume(partition, offset);
  }

  pause(partitions: readonly TopicPartition[]): void {
    if (this.inbox.length === 0) this.held?.pause(partitions);
  }

  resume(partitions: readonly TopicPartition[]): void {
    if (this.inbox.length === 0) this.held?.resume(partitions);
  }

  async commitOffsets(...[offsets, epoch]: Parameters<GroupMember['commitOffsets']>): Promise<void> {
    await this.scheduler.point(this.life, 'commit of offsets');
    if (this.held === null) throw new TidemillError('PRODUCER_FENCED', `${this.options.group}: no member any more`);
    await this.held.commitOffsets(offsets, epoch - this.before);
  }

  async confirmAssigned(epoch: number): Promise<boolean> {
    // A heartbeat tells of the assignments before it.
    do await this.scheduler.point(this.life, 'heartbeat');
    while (this.inbox.length > 0);
    return epoch === this.epoch;
  }

  async leave(): Promise<void> {
    await this.scheduler.point(this.life, 'leave');
    await this.expel();
  }
}
