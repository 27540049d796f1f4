import type { EventDraft } from '@understudy/core/cluster';
import { addCounts, addTraffic, endedTraffic } from '@understudy/core/routing';
import type { ProxyStats } from '../ports.ts';

/** The statistics of several workers as those of one proxy. Counters of workers that have ended stay in; their clients and lanes do not. */
export class StatsMerge {
  readonly #now = new Map<number, ProxyStats>();
  readonly #ended: ProxyStats[] = [];

  note(slot: number, stats: ProxyStats): void {
    this.#now.set(slot, stats);
  }

  gone(slot: number): void {
    const last = this.#now.get(slot);
    this.#now.delete(slot);
    if (last === undefined) return;
    const ended = { ...last, ...endedTraffic(last), clients: 0, held: 0 };
    // One entry for all of them, however many there have been.
    this.#ended.splice(0, this.#ended.length, this.#ended.reduce(add, ended));
  }

  /** Null before the first worker has told. */
  get total(): ProxyStats | null {
    const [first, ...others] = [...this.#now.values(), ...this.#ended];
    return first === undefined ? null : others.reduce(add, first);
  }
}

function add(a: ProxyStats, b: ProxyStats): ProxyStats {
  return {
    clients: a.clients + b.clients,
    held: a.held + b.held,
    writes: a.writes + b.writes,
    reads: addCounts(a.reads, b.reads),
    listening: a.listening ?? b.listening,
    ...addTraffic(a, b),
  };
}

/** Events of several workers as those of one proxy: what all of them notice is told once. */
export class EventMerge {
  readonly #holding = new Set<number>();
  #switchedTerm = 0;

  /** The event to tell; null: it was told already, or another worker will. */
  take(slot: number, event: EventDraft): EventDraft | null {
    switch (event.kind) {
      case 'router-switched': {
        const told = event.term !== null && event.term <= this.#switchedTerm;
        this.#switchedTerm = Math.max(this.#switchedTerm, event.term ?? 0);
        return told ? null : event;
      }
      case 'router-held': {
        const first = this.#holding.size === 0;
        this.#holding.add(slot);
        return first ? event : null;
      }
      case 'router-released':
        return this.#holding.delete(slot) && this.#holding.size === 0 ? event : null;
      default:
        return event;
    }
  }

  gone(slot: number): void {
    this.#holding.delete(slot);
  }
}

/** Which workers have drained for a switchover. */
export class DrainMerge {
  readonly #slots: () => readonly number[];
  #intentId: string | null = null;
  #told = false;
  readonly #drained = new Set<number>();

  /** `slots`: the workers that run. */
  constructor(slots: () => readonly number[]) {
    this.#slots = slots;
  }

  /** True when with this one all have drained. */
  note(slot: number, intentId: string): boolean {
    if (intentId !== this.#intentId) {
      this.#intentId = intentId;
      this.#told = false;
      this.#drained.clear();
    }
    this.#drained.add(slot);
    return this.#isNews();
  }

  /** The intent that all who are left have drained for, if that is news. */
  gone(slot: number): string | null {
    this.#drained.delete(slot);
    return this.#intentId !== null && this.#drained.size > 0 && this.#isNews() ? this.#intentId : null;
  }

  #isNews(): boolean {
    if (this.#told || !this.#slots().every(slot => this.#drained.has(slot))) return false;
    this.#told = true;
    return true;
  }
}
