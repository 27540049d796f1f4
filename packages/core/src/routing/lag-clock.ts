import type { Lsn } from '../cluster/lsn.ts';

/** Samples kept. When there are more, the older half is thinned out: the further back, the coarser, and never wrong by more than a sample's distance. */
const SAMPLE_LIMIT = 1024;

interface Sample {
  readonly lsn: Lsn;
  /** When the primary was first and last seen there. */
  readonly firstMs: number;
  lastMs: number;
}

/**
 * Turns a replica's replay position into time, from samples of the primary's own. Unlike the age of the last replayed commit this stays 0 on an
 * idle system, and grows while replay is paused or delayed. All times are on the caller's monotonic clock.
 */
export class LagClock {
  #samples: Sample[] = [];

  /** The primary's position now. A new timeline may begin below the old one's end: then all samples are void. */
  sample(lsn: Lsn, atMs: number): void {
    const last = this.#samples.at(-1);
    if (last && lsn < last.lsn) this.#samples = [];
    if (last && lsn === last.lsn) {
      last.lastMs = atMs;
      return;
    }
    this.#samples.push({ lsn, firstMs: atMs, lastMs: atMs });
    if (this.#samples.length > SAMPLE_LIMIT) this.#samples = this.#samples.filter((_, i) => i >= SAMPLE_LIMIT / 2 || i % 2 === 0);
  }

  /** The primary's newest position; null before the first sample. */
  get newest(): Lsn | null {
    return this.#samples.at(-1)?.lsn ?? null;
  }

  /** When the primary was asked last; -Infinity before the first time. */
  get sampledAtMs(): number {
    return this.#samples.at(-1)?.lastMs ?? Number.NEGATIVE_INFINITY;
  }

  /** For people: milliseconds since the primary was first seen past this position; 0 when it has not been. */
  lagMs(replayed: Lsn, nowMs: number): number {
    const past = this.#samples[this.#countReached(replayed)];
    return past ? Math.max(0, Math.round(nowMs - past.firstMs)) : 0;
  }

  /** For promises: a read at this position sees all that was committed so long ago. Infinity when that is not known. */
  ageMs(replayed: Lsn, nowMs: number): number {
    const reached = this.#samples[this.#countReached(replayed) - 1];
    return reached ? Math.max(0, nowMs - reached.lastMs) : Number.POSITIVE_INFINITY;
  }

  /** Samples that are not past the position; they are in order. */
  #countReached(replayed: Lsn): number {
    let [low, high] = [0, this.#samples.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#samples[middle] as Sample).lsn <= replayed) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
