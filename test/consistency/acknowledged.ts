/** What has been acknowledged of one counter, and when. Numbers only grow. */
export class AcknowledgedCounter {
  #newest = 0;
  /** Recent ones with their times, oldest first; the first is the newest that was older than anybody asks for. */
  #recent: { readonly n: number; readonly atMs: number }[] = [];
  readonly #horizonMs: number;

  /** @param horizonMs how far back {@link before} is asked for */
  constructor(horizonMs: number) {
    this.#horizonMs = horizonMs;
  }

  get newest(): number {
    return this.#newest;
  }

  note(n: number, atMs: number): void {
    if (n <= this.#newest) return;
    this.#newest = n;
    this.#recent.push({ n, atMs });
    while (this.#recent.length > 1 && (this.#recent[1] as { atMs: number }).atMs < atMs - this.#horizonMs) this.#recent.shift();
  }

  /** The greatest number that was acknowledged before this time; 0 for none, or none that is remembered. */
  before(atMs: number): number {
    return this.#recent.findLast(one => one.atMs < atMs)?.n ?? 0;
  }
}
