import type { MemberId } from './member.ts';

/**
 * Who leads, and whose acknowledgement a commit needs: PostgreSQL's `ANY acks (cohort)`. acks 0 means that nobody's is
 * needed, and then only the primary itself holds all that was acknowledged.
 */
export interface AckRule {
  readonly term: number;
  readonly primary: MemberId;
  /** Sorted by name; never contains the primary. */
  readonly cohort: readonly MemberId[];
  /** 0, or between 1 and the size of the cohort. */
  readonly acks: number;
}

/** The one record that says who leads. Changed only by compare-and-swap. */
export interface Rule extends AckRule {
  /**
   * The timeline that the primary of this term writes. Given out by the store, each number once, growing with the term:
   * PostgreSQL alone would let two winners that never met take the same number, and then histories cannot be told apart.
   */
  readonly timeline: number;
  /** `acks` members of the cohort have flushed the promotion point; until then the rules in `before` still count. */
  readonly established: boolean;
  /** While not established: every rule back to the last established one, which is included. Empty once established. */
  readonly before: readonly AckRule[];
}

/**
 * Whether these recruits are enough to rule out that the old primary is acknowledging, and to hold what it acknowledged: the
 * primary itself, or so many of its cohort that too few are left to acknowledge.
 */
export function suffices(rule: AckRule, recruits: ReadonlySet<MemberId>): boolean {
  if (recruits.has(rule.primary)) return true;
  if (rule.acks === 0) return false;
  const recruited = rule.cohort.filter(id => recruits.has(id)).length;
  return recruited >= rule.cohort.length - rule.acks + 1;
}

/**
 * Whether these recruits may elect a successor: they suffice for the rule and, until it is established, for those before it, back to
 * the first whose own primary is among them. That one was elected with all that was acknowledged until then.
 */
export function mayElect(rule: Rule, recruits: ReadonlySet<MemberId>): boolean {
  const chain: readonly AckRule[] = rule.established ? [rule] : [rule, ...rule.before.toReversed()];
  for (const each of chain) {
    if (!suffices(each, recruits)) return false;
    if (recruits.has(each.primary)) return true;
  }
  return true;
}
