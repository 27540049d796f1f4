import type { Lsn } from '@understudy/core/cluster';

/** Samples kept: at one every 250 ms, ten minutes. A replica further behind is shown with the oldest. */
const SAMPLE_LIMIT = 2400;

/**
 * Turns a replica's replay position into milliseconds of lag: how long ago the primary was where the replica is now. Unlike the
 * age of the last replayed commit this stays 0 on an idle system.
 */
export class LagClock {
  readonly #samples: { readonly lsn: Lsn; readonly atMs: number }[] = [];

  /** The primary's position now. A new timeline may begin below the old one's end: then all samples are void. */
  sample(lsn: Lsn, atMs: number): void {
    const last = this.#samples.at(-1);
    if (last && lsn < last.lsn) this.#samples.length = 0;
    if (last && lsn === last.lsn) return;
    this.#samples.push({ lsn, atMs });
    if (this.#samples.length > SAMPLE_LIMIT) this.#samples.shift();
  }

  /** Milliseconds since the primary first went past this position; 0 when it has not. */
  lagMs(replayed: Lsn, nowMs: number): number {
    const past = this.#samples.find(s => s.lsn > replayed);
    return past ? Math.max(0, Math.round(nowMs - past.atMs)) : 0;
  }
}
