import type { MemberId } from '../../src/cluster/index.ts';

export const STORE = 'store';

/** Which directions are cut, and how slow the rest is. Members and the store are nodes alike. */
export class Network {
  readonly #now: () => number;
  readonly #cut = new Set<string>();
  /** When each direction was last cut or healed. */
  readonly #changedAtMs = new Map<string, number>();
  slowMs = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  cut(from: MemberId, to: MemberId): void {
    this.#cut.add(`${from}>${to}`);
    this.#changedAtMs.set(`${from}>${to}`, this.#now());
  }

  healAll(): void {
    for (const direction of this.#cut) this.#changedAtMs.set(direction, this.#now());
    this.#cut.clear();
    this.slowMs = 0;
  }

  heal(from: MemberId, to: MemberId): void {
    this.#cut.delete(`${from}>${to}`);
    this.#changedAtMs.set(`${from}>${to}`, this.#now());
  }

  passes(from: MemberId, to: MemberId): boolean {
    return this.#cut.size === 0 || !this.#cut.has(`${from}>${to}`);
  }

  bothWays(a: MemberId, b: MemberId): boolean {
    return this.passes(a, b) && this.passes(b, a);
  }

  /** For how long these two have been as they are now, connected or not. */
  unchangedMs(a: MemberId, b: MemberId): number {
    const changedAtMs = (from: MemberId, to: MemberId): number => this.#changedAtMs.get(`${from}>${to}`) ?? Number.NEGATIVE_INFINITY;
    return this.#now() - Math.max(changedAtMs(a, b), changedAtMs(b, a));
  }
}
