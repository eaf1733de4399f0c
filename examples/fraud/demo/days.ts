/** The next items of a generator, which goes on after them. */
export function* take<T>(items: Generator<T>, count: number): Generator<T> {
  for (let left = count; left > 0; left--) {
    const next = items.next();
    if (next.done === true) return;
    yield next.value;
  }
}

/** Items until something is over. */
export function* until<T>(items: Iterable<T>, isOver: () => boolean): Generator<T> {
  for (const item of items) {
    if (isOver()) return;
    yield item;
  }
}
