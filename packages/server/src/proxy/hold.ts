import { performance } from 'node:perf_hooks';
import type { Topology } from '@understudy/core/routing';
import type { ProxyOptions } from './options.ts';
import type { ProxyEvent, TopologySource } from './ports.ts';

/** The topology as it is, and a place to wait for the next one. */
export class ClusterWatch {
  readonly #onEvent: (event: ProxyEvent) => void;
  readonly #options: Pick<ProxyOptions, 'maxHeld'>;
  readonly #waiting = new Set<() => void>();
  readonly #unsubscribe: () => void;
  readonly #onChange: (topology: Topology) => void;
  #topology: Topology;
  #heldSinceMs: number | null = null;
  /** Term of the last primary that was open; 0 before the first. */
  #openTerm = 0;

  constructor(
    source: TopologySource,
    options: Pick<ProxyOptions, 'maxHeld'>,
    onChange: (topology: Topology) => void,
    onEvent: (event: ProxyEvent) => void,
  ) {
    this.#options = options;
    this.#onChange = onChange;
    this.#onEvent = onEvent;
    this.#topology = source.current();
    this.#noteSwitch(this.#topology);
    this.#unsubscribe = source.subscribe(topology => this.#change(topology));
  }

  get topology(): Topology {
    return this.#topology;
  }

  get held(): number {
    return this.#waiting.size;
  }

  /** Why there is nothing to send to a primary. */
  get reason(): string {
    const { primary } = this.#topology;
    switch (primary.kind) {
      case 'absent':
        return primary.reason;
      case 'unconfirmed':
        return `${primary.server.id} is not confirmed yet as the primary of term ${this.#topology.term}`;
      case 'draining':
        return `a switchover from ${primary.server.id} is under way`;
      case 'open':
        return `${primary.server.id}, the primary of term ${this.#topology.term}, does not answer`;
    }
  }

  /** Room for one more statement that waits. */
  get hasRoom(): boolean {
    return this.#waiting.size < this.#options.maxHeld;
  }

  /** Waits for the next topology or until the time is up; `cancel` ends the wait early. */
  nextTopology(timeoutMs: number): { readonly over: Promise<void>; readonly cancel: () => void } {
    if (this.#heldSinceMs === null) {
      this.#heldSinceMs = performance.now();
      this.#onEvent({ kind: 'held', reason: this.reason });
    }
    let cancel = (): void => undefined;
    const over = new Promise<void>(resolve => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, timeoutMs);
      this.#waiting.add(done);
      cancel = done;
    });
    return { over, cancel };
  }

  stop(): void {
    this.#unsubscribe();
    for (const done of this.#waiting) done();
  }

  #change(topology: Topology): void {
    this.#topology = topology;
    this.#noteSwitch(topology);
    if (topology.primary.kind === 'open' && this.#heldSinceMs !== null) {
      this.#onEvent({ kind: 'released', heldMs: performance.now() - this.#heldSinceMs });
      this.#heldSinceMs = null;
    }
    this.#onChange(topology);
    for (const done of this.#waiting) done();
  }

  /** A new term's primary is named first and opens later; the first one that this router ever meets is no switch. */
  #noteSwitch({ primary, term }: Topology): void {
    if (primary.kind !== 'open' || term <= this.#openTerm) return;
    if (this.#openTerm > 0) this.#onEvent({ kind: 'switched', term, primary: primary.server.id });
    this.#openTerm = term;
  }
}
