import type { MemberReport } from '../cluster/index.ts';
import type { HeardMember } from './view.ts';

/** How this agent itself stands with the store. */
export interface Hearer {
  readonly leaseMs: number;
  /** Monotonic time at which the store answered this agent again after it had not for a lease (its start, when it always did). */
  readonly storeBackAtMs: number;
}

/**
 * Takes note of a report. One whose sender had got no answer of the store for a lease shows that something of it still gets out, not that it takes part:
 * where one direction alone is cut, every attempt of its arrives. Not so just after the store was away for all.
 */
export function hear(
  before: HeardMember | undefined,
  report: MemberReport,
  arrivedAtMs: number,
  { leaseMs, storeBackAtMs }: Hearer,
): HeardMember {
  const takesPart = (report.unansweredMs ?? 0) <= leaseMs || arrivedAtMs - storeBackAtMs <= leaseMs;
  return { report, heardAtMs: arrivedAtMs, takesPartAtMs: takesPart || !before ? arrivedAtMs : (before.takesPartAtMs ?? before.heardAtMs) };
}
