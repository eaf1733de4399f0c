/** Rows by the time at which something is due, least first: a binary heap. */
export class DueHeap {
  private readonly dues: number[] = [];
  private readonly rows: number[] = [];

  /** Due of the least entry; Infinity where there is none. */
  get least(): number {
    return this.dues[0] ?? Number.POSITIVE_INFINITY;
  }

  push(due: number, row: number): void {
    let at = this.dues.push(due) - 1;
    this.rows.push(row);
    for (let parent = (at - 1) >> 1; at > 0 && (this.dues[parent] as number) > due; parent = (at - 1) >> 1) {
      this.swap(at, parent);
      at = parent;
    }
  }

  /** Takes the row of the least entry. @throws Error where there is none. */
  pop(): number {
    const row = this.rows[0];
    if (row === undefined) throw new Error('invariant broken: nothing is due');
    this.swap(0, this.dues.length - 1);
    this.dues.pop();
    this.rows.pop();
    for (let at = 0; ;) {
      const left = 2 * at + 1;
      if (left >= this.dues.length) return row;
      const right = left + 1;
      const child =
        right < this.dues.length && (this.dues[right] as number) < (this.dues[left] as number) ? right : left;
      if ((this.dues[child] as number) >= (this.dues[at] as number)) return row;
      this.swap(at, child);
      at = child;
    }
  }

  private swap(a: number, b: number): void {
    [this.dues[a], this.dues[b]] = [this.dues[b] as number, this.dues[a] as number];
    [this.rows[a], this.rows[b]] = [this.rows[b] as number, this.rows[a] as number];
  }
}
