import { performance } from 'node:perf_hooks';
import { idleInTransactionTooLong, idleTooLong, type ProxyFailure } from './errors.ts';
import type { ProxyOptions } from './options.ts';

/** What a client does at the moment: nothing, nothing while its transaction is open, or it waits for an answer. */
export type Activity = 'idle' | 'in-transaction' | 'active';

/** A client under time limits. */
export interface TimedClient {
  readonly activity: Activity;
  /** Units of work that it has sent so far: the same activity with another number is a new one. */
  readonly unitsSent: number;
  fail(failure: ProxyFailure): void;
  cancel(): Promise<void>;
}

type TimeLimitOptions = Pick<ProxyOptions, 'idleTimeoutMs' | 'idleInTransactionTimeoutMs' | 'queryTimeoutMs'>;

function limitsOf({ idleTimeoutMs, idleInTransactionTimeoutMs, queryTimeoutMs }: TimeLimitOptions): Readonly<Record<Activity, number>> {
  return { idle: idleTimeoutMs, 'in-transaction': idleInTransactionTimeoutMs, active: queryTimeoutMs };
}

interface Seen {
  activity: Activity;
  unitsSent: number;
  sinceMs: number;
}

const MAX_SWEEP_MS = 1_000;
const MIN_SWEEP_MS = 20;

/**
 * Time limits of clients: idle, idle in a transaction, one statement. Clients are looked at from time to time, so that the limits cost a
 * statement nothing; a limit is kept to within a quarter of itself or a second.
 */
export class TimeLimits {
  readonly #options: TimeLimitOptions;
  readonly #clients: () => Iterable<TimedClient>;
  readonly #seen = new WeakMap<TimedClient, Seen>();
  #timer: NodeJS.Timeout | null = null;

  constructor(options: TimeLimitOptions, clients: () => Iterable<TimedClient>) {
    this.#options = options;
    this.#clients = clients;
  }

  /** Begins to look, or goes on with limits that have changed. */
  start(): void {
    this.stop();
    const set = Object.values(limitsOf(this.#options)).filter(limitMs => limitMs > 0);
    if (set.length === 0) return;
    const everyMs = Math.max(MIN_SWEEP_MS, Math.min(MAX_SWEEP_MS, ...set.map(limitMs => limitMs / 4)));
    this.#timer = setInterval(() => this.sweep(performance.now()), everyMs);
    this.#timer.unref();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  sweep(nowMs: number): void {
    const limits = limitsOf(this.#options);
    for (const client of this.#clients()) {
      const { activity, unitsSent } = client;
      const seen = this.#seen.get(client);
      if (seen === undefined || seen.activity !== activity || seen.unitsSent !== unitsSent) {
        this.#seen.set(client, { activity, unitsSent, sinceMs: nowMs });
        continue;
      }
      const limitMs = limits[activity];
      if (limitMs === 0 || nowMs - seen.sinceMs < limitMs) continue;
      // A statement that goes on all the same is cancelled again after the same time.
      seen.sinceMs = nowMs;
      act(client, activity);
    }
  }
}

function act(client: TimedClient, activity: Activity): void {
  switch (activity) {
    case 'idle':
      client.fail(idleTooLong());
      return;
    case 'in-transaction':
      client.fail(idleInTransactionTooLong());
      return;
    case 'active':
      void client.cancel().catch(() => undefined);
      return;
    default:
      activity satisfies never;
  }
}
