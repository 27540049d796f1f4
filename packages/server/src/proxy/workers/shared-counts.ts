/** A number a worker, in memory that all of them read. */
export class SharedCounts {
  readonly #counts: Int32Array;

  constructor(memory: SharedArrayBuffer) {
    this.#counts = new Int32Array(memory);
  }

  /** To be made once, and handed to every worker. */
  static memory(slots: number): SharedArrayBuffer {
    return new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT * slots);
  }

  set(slot: number, count: number): void {
    Atomics.store(this.#counts, slot, count);
  }

  get total(): number {
    let total = 0;
    for (let slot = 0; slot < this.#counts.length; slot++) total += Atomics.load(this.#counts, slot);
    return total;
  }
}
