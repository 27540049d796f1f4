import type { MemberId } from '../../src/cluster/index.ts';

export const STORE = 'store';

/** Which directions are cut, and how slow the rest is. Members and the store are nodes alike. */
export class Network {
  readonly #cut = new Set<string>();
  slowMs = 0;

  cut(from: MemberId, to: MemberId): void {
    this.#cut.add(`${from}>${to}`);
  }

  healAll(): void {
    this.#cut.clear();
    this.slowMs = 0;
  }

  heal(from: MemberId, to: MemberId): void {
    this.#cut.delete(`${from}>${to}`);
  }

  passes(from: MemberId, to: MemberId): boolean {
    return this.#cut.size === 0 || !this.#cut.has(`${from}>${to}`);
  }

  bothWays(a: MemberId, b: MemberId): boolean {
    return this.passes(a, b) && this.passes(b, a);
  }
}
