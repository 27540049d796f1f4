/**
 * How many commits all workers of one proxy have acknowledged, in memory that they share. A worker counts a commit before its client is told; another
 * worker that begins a `strong` read later finds the number changed, and asks the primary for a newer floor before it answers.
 */
export class SharedCommits {
  readonly #count: BigInt64Array;
  #seen: bigint;

  /** Without memory of others: the only worker. */
  constructor(memory: SharedArrayBuffer = SharedCommits.memory()) {
    this.#count = new BigInt64Array(memory);
    this.#seen = Atomics.load(this.#count, 0);
  }

  /** To be made once, and handed to every worker. */
  static memory(): SharedArrayBuffer {
    return new SharedArrayBuffer(BigInt64Array.BYTES_PER_ELEMENT);
  }

  /** A commit of this worker is about to be acknowledged. */
  note(): void {
    const before = Atomics.add(this.#count, 0, 1n);
    // What others have counted in between is left to be found.
    if (before === this.#seen) this.#seen = before + 1n;
  }

  /** Whether another worker has counted commits since this was last asked. */
  takeNews(): boolean {
    const now = Atomics.load(this.#count, 0);
    if (now === this.#seen) return false;
    this.#seen = now;
    return true;
  }
}
