/** Somebody who waits for a position to be reached. */
export interface Waiter<K, T> {
  readonly key: K;
  /** On the router's monotonic clock. */
  readonly deadlineMs: number;
  readonly value: T;
}

/** Those who wait for something that only grows (an LSN that is replayed, a question that is answered), the least demanding first. Bounded. */
export class WaitingList<K extends bigint | number, T> {
  readonly #capacity: number;
  #waiters: Waiter<K, T>[] = [];

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#waiters.length;
  }

  /** The least demanding key; null when nobody waits. */
  get first(): K | null {
    return this.#waiters[0]?.key ?? null;
  }

  /** False when the list is full: the caller must not wait. */
  add(waiter: Waiter<K, T>): boolean {
    if (this.#waiters.length >= this.#capacity) return false;
    // Behind its equals, so that who came first is served first.
    let low = 0;
    let high = this.#waiters.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#waiters[middle] as Waiter<K, T>).key <= waiter.key) low = middle + 1;
      else high = middle;
    }
    this.#waiters.splice(low, 0, waiter);
    return true;
  }

  /** Takes out all whose key has been reached. */
  advance(reached: K): readonly Waiter<K, T>[] {
    let count = 0;
    while (count < this.#waiters.length && (this.#waiters[count] as Waiter<K, T>).key <= reached) count++;
    return count === 0 ? [] : this.#waiters.splice(0, count);
  }

  /** Takes out all whose deadline has come. */
  expire(nowMs: number): readonly Waiter<K, T>[] {
    const expired = this.#waiters.filter(waiter => waiter.deadlineMs <= nowMs);
    if (expired.length > 0) this.#waiters = this.#waiters.filter(waiter => waiter.deadlineMs > nowMs);
    return expired;
  }

  /** The earliest deadline; null when nobody waits. */
  nextDeadlineMs(): number | null {
    let earliest: number | null = null;
    for (const { deadlineMs } of this.#waiters) if (earliest === null || deadlineMs < earliest) earliest = deadlineMs;
    return earliest;
  }

  /** Takes out one, because its client is gone. */
  remove(value: T): boolean {
    const at = this.#waiters.findIndex(waiter => waiter.value === value);
    if (at >= 0) this.#waiters.splice(at, 1);
    return at >= 0;
  }

  /** Takes out everybody: the topology has changed, and what they waited for with it. */
  drain(): readonly Waiter<K, T>[] {
    const all = this.#waiters;
    this.#waiters = [];
    return all;
  }
}
