import { performance } from 'node:perf_hooks';
import { type LagClock, type Position, probeSent, type Probes, type RoutableServer } from '@understudy/core/routing';
import { Monitor } from './monitor.ts';
import type { ProxyOptions } from './options.ts';

/** `floor`: somebody must know where the primary is now; `sample`: only for the lag of the replicas. */
export type ProbePurpose = 'floor' | 'sample';

export interface ProbeHost {
  readonly probes: Probes;
  readonly lag: LagClock;
  /** The primary has answered question `number`. */
  onFloor(number: number, position: Position): void;
  onIdentity(systemIdentifier: string): void;
}

/** Asks one primary, in one of its terms, where it is: one question at a time, whose answer serves everybody who waited before it was sent. */
export class PrimaryProbe {
  readonly server: RoutableServer;
  readonly term: number;
  readonly #monitor: Monitor;
  readonly #host: ProbeHost;
  #asking: ProbePurpose | null = null;
  /** A floor was wanted while a question was under way that does not cover it. */
  #again = false;
  #identified = false;
  #ended = false;

  constructor(server: RoutableServer, term: number, options: ProxyOptions, host: ProbeHost) {
    this.server = server;
    this.term = term;
    this.#monitor = new Monitor(server, options);
    this.#host = host;
  }

  /** Resolves when there is an answer, or none to be had. A floor that is wanted while a question is under way is asked for right after it. */
  async ask(purpose: ProbePurpose): Promise<void> {
    if (this.#ended) return;
    if (this.#asking !== null) {
      this.#again ||= purpose === 'floor';
      return;
    }
    this.#asking = purpose;
    const answered = await this.#ask(purpose).catch(() => false);
    this.#asking = null;
    const again = this.#again;
    this.#again = false;
    // A primary that does not answer is not pressed: the readers' own deadlines decide what becomes of them, and each of them asks again.
    if (again && answered) void this.ask('floor');
  }

  end(): void {
    this.#ended = true;
    this.#monitor.end();
  }

  /** A floor is raised only for those who ask: at rest the newest records of the log may not be on their way to any replica yet. */
  async #ask(purpose: ProbePurpose): Promise<boolean> {
    const number = purpose === 'floor' ? probeSent(this.#host.probes) : null;
    // The primary was there no later than now, but surely still when it was asked.
    const askedAtMs = performance.now();
    const position = await this.#monitor.probePrimary();
    // An answer that comes after the end speaks of another primary, or of another life of this one.
    if (this.#ended) return false;
    this.#host.lag.sample(position.lsn, askedAtMs);
    if (number !== null) this.#host.onFloor(number, position);
    if (!this.#identified) {
      const identity = await this.#monitor.systemIdentifier();
      if (identity !== null) this.#host.onIdentity(identity);
      this.#identified = true;
    }
    return true;
  }
}
