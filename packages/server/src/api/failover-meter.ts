import { EVENT_KINDS, type EventKind, type TermRecord } from '@understudy/core/cluster';
import { type Histogram, newHistogram, observe } from '@understudy/core/routing';
import type { ClusterFacade } from './facade.ts';
import { TermWatch } from './term-watch.ts';

/** What can begin a change of the primary. */
export type Trigger = Exclude<TermRecord['trigger'], 'bootstrap'>;
const TRIGGERS: Readonly<Record<Trigger, true>> = {
  'primary-exited': true,
  'primary-unresponsive': true,
  'primary-failing': true,
  'primary-lost': true,
  'primary-unheard': true,
  'primary-fenced': true,
  switchover: true,
  operator: true,
  'election-stalled': true,
  'standby-leader-lost': true,
  promotion: true,
  demotion: true,
};

export const PHASES = ['detect', 'elect', 'promote', 'establish'] as const;
export type Phase = (typeof PHASES)[number];

/** Counts the events and the changes of the primary that happen while this process watches: the history that is kept forgets. */
export class FailoverMeter {
  readonly events: Map<EventKind, number> = new Map(Object.keys(EVENT_KINDS).map(kind => [kind as EventKind, 0]));
  readonly failovers: Map<Trigger, number> = new Map(Object.keys(TRIGGERS).map(trigger => [trigger as Trigger, 0]));
  readonly phases: Readonly<Record<Phase, Histogram>> = {
    detect: newHistogram(),
    elect: newHistogram(),
    promote: newHistogram(),
    establish: newHistogram(),
  };
  readonly #terms: TermWatch;

  constructor(facade: Pick<ClusterFacade, 'state' | 'subscribe'>) {
    this.#terms = new TermWatch(facade);
    facade.subscribe(({ kind }) => {
      this.events.set(kind, (this.events.get(kind) ?? 0) + 1);
      this.take(facade.state().history);
    });
  }

  /** Counts what is new in the history and has come to its end. */
  take(history: readonly TermRecord[]): void {
    for (const record of this.#terms.take(history)) {
      const trigger = record.trigger as Trigger;
      this.failovers.set(trigger, (this.failovers.get(trigger) ?? 0) + 1);
      for (const [phase, ms] of Object.entries(phasesMs(record))) if (ms !== null) observe(this.phases[phase as Phase], ms);
    }
  }
}

/** How long each phase of a change of the primary took; null until it has happened. */
export function phasesMs(record: TermRecord): Readonly<Record<Phase, number | null>> {
  const { detectMs, raisedAtMs, electedAtMs, promotedAtMs, establishedAtMs } = record;
  return {
    detect: detectMs,
    elect: Math.max(0, electedAtMs - raisedAtMs),
    promote: promotedAtMs === null ? null : Math.max(0, promotedAtMs - electedAtMs),
    establish: establishedAtMs === null || promotedAtMs === null ? null : Math.max(0, establishedAtMs - promotedAtMs),
  };
}
