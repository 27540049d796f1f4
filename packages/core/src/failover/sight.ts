import type { FailoverConfig, MemberId, Sight } from '../cluster/index.ts';
import { absenceMs, isLive, reportOf } from './facts.ts';
import type { View } from './view.ts';

/** What one attempt to connect to another member's server came to: `refused` shows a way to the machine, and no server. */
export type AttemptOutcome = 'reached' | 'refused' | 'lost';

/** What the attempts to one member have come to, one after the other. */
export interface Attempts {
  readonly last: AttemptOutcome;
  /** So many of them in a row, the last one included, got no answer at all. */
  readonly lostInARow: number;
}

/** One packet may be lost: so many attempts in a row show that nothing comes through. */
const LOST_ATTEMPTS = 2;

export function noteAttempt(before: Attempts | undefined, outcome: AttemptOutcome): Attempts {
  return { last: outcome, lostInARow: outcome === 'lost' ? (before?.lostInARow ?? 0) + 1 : 0 };
}

export function sightOf(silentMs: number, attempts: ReadonlyMap<MemberId, Attempts>): Sight {
  const those = (fits: (found: Attempts) => boolean): readonly MemberId[] =>
    [...attempts].flatMap(([id, found]) => (fits(found) ? [id] : [])).sort();
  return { silentMs, reached: those(({ last }) => last === 'reached'), lost: those(({ lostInARow }) => lostInARow >= LOST_ATTEMPTS) };
}

/** When a replica begins to look around, how often it tries, and how long one attempt may take: what is lost is known soon after `streamVetoMs`. */
export function lookoutTimes({ streamVetoMs }: FailoverConfig): {
  readonly silentMs: number;
  readonly intervalMs: number;
  readonly limitMs: number;
} {
  return { silentMs: streamVetoMs * 0.75, intervalMs: streamVetoMs / 8, limitMs: streamVetoMs / 4 };
}

/**
 * Whose servers this member is to try to reach now: everybody else's, while it is a replica and it or another one does not hear the primary whose
 * commits wait for them, or the store does not. `silentMs`: for how long no message of the primary has come here.
 */
export function lookoutFor(view: View, silentMs: number, nowMs: number): readonly MemberId[] {
  const { rule, members } = view.state;
  if (rule === null || rule.acks === 0 || rule.primary === view.self || reportOf(view, view.self)?.server.kind !== 'replica') return [];
  const least = lookoutTimes(view.config).silentMs;
  const isSilent = (id: MemberId): boolean => isLive(view, id, nowMs) && (reportOf(view, id)?.sight?.silentMs ?? 0) >= least;
  const others = Object.keys(members).filter(id => id !== view.self);
  return silentMs >= least || absenceMs(view, rule.primary) >= least || others.some(isSilent) ? others : [];
}
