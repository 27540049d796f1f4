import { performance } from 'node:perf_hooks';
import type { Lsn } from '@understudy/core/cluster';
import { WaitingList } from '@understudy/core/routing';

type Wake = () => void;

/** Reads that wait for a floor to be told or for a replica to reach it. An answer wakes those whom it serves, and nobody else. */
export class FreshWaits {
  readonly #floors: WaitingList<number, Wake>;
  readonly #replays: WaitingList<Lsn, Wake>;
  #timer: { readonly atMs: number; readonly handle: NodeJS.Timeout } | null = null;

  /** @param capacity how many may wait in each list; one more only waits for its time to be up */
  constructor(capacity: number) {
    this.#floors = new WaitingList(capacity);
    this.#replays = new WaitingList(capacity);
  }

  /** Reads that wait now. */
  get size(): number {
    return this.#floors.size + this.#replays.size;
  }

  /** The least demanding position that somebody waits for; null when nobody waits for a replica. */
  get wantedLsn(): Lsn | null {
    return this.#replays.first;
  }

  /** Resolves when the primary has answered question `mark`, when all are woken, or when the time is up. */
  floor(mark: number, timeoutMs: number): Promise<void> {
    return this.#wait(this.#floors, mark, timeoutMs);
  }

  /** Resolves when some replica has replayed so far, when all are woken, or when the time is up. */
  replay(lsn: Lsn, timeoutMs: number): Promise<void> {
    return this.#wait(this.#replays, lsn, timeoutMs);
  }

  onFloor(answered: number): void {
    wake(this.#floors.advance(answered));
  }

  onReplay(lsn: Lsn): void {
    wake(this.#replays.advance(lsn));
  }

  /** The topology has changed, or nobody will answer any more: everybody decides anew. */
  wakeAll(): void {
    wake(this.#floors.drain());
    wake(this.#replays.drain());
  }

  #wait<K extends bigint | number>(list: WaitingList<K, Wake>, key: K, timeoutMs: number): Promise<void> {
    const deadlineMs = performance.now() + timeoutMs;
    return new Promise(resolve => {
      if (list.add({ key, deadlineMs, value: resolve })) this.#watch(deadlineMs);
      else setTimeout(resolve, timeoutMs);
    });
  }

  /** One timer serves all: the earliest deadline's. */
  #watch(deadlineMs: number): void {
    if (this.#timer !== null && this.#timer.atMs <= deadlineMs) return;
    if (this.#timer !== null) clearTimeout(this.#timer.handle);
    const handle = setTimeout(() => this.#expire(), Math.max(0, deadlineMs - performance.now()));
    this.#timer = { atMs: deadlineMs, handle };
  }

  #expire(): void {
    this.#timer = null;
    const now = performance.now();
    wake(this.#floors.expire(now));
    wake(this.#replays.expire(now));
    const next = Math.min(
      this.#floors.nextDeadlineMs() ?? Number.POSITIVE_INFINITY,
      this.#replays.nextDeadlineMs() ?? Number.POSITIVE_INFINITY,
    );
    if (next < Number.POSITIVE_INFINITY) this.#watch(next);
  }
}

function wake(waiters: readonly { readonly value: Wake }[]): void {
  for (const { value } of waiters) value();
}
