import type { EventDraft } from './events.ts';
import type { MemberId } from './member.ts';
import type { Rule } from './rule.ts';
import type { ClusterState } from './state.ts';

/** Who changed the state, when (wall clock) and why. */
export interface ChangeCause {
  readonly by: MemberId | null;
  readonly atMs: number;
  readonly reason: string;
  readonly inputs: EventDraft['inputs'];
}

/** The events that tell a change of the store to people. Drawn from the two states alone, so that no change goes untold. */
export function eventsOfChange(before: ClusterState, after: ClusterState, cause: ChangeCause): readonly EventDraft[] {
  const events: EventDraft[] = [];
  const tell = (kind: EventDraft['kind'], member: MemberId | null, term: number | null, inputs: EventDraft['inputs'] = {}): void => {
    events.push({ atMs: cause.atMs, kind, member, term, message: cause.reason, inputs: { ...cause.inputs, ...inputs } });
  };
  if (after.proposal && after.proposal.term !== before.proposal?.term) {
    tell('term-raised', cause.by, after.proposal.term, { trigger: after.proposal.trigger, noticedMs: after.proposal.noticedMs });
  }
  if (before.standby && !after.standby) tell('cluster-promoted', after.rule?.primary ?? null, after.proposal?.term ?? null);
  if (!before.standby && after.standby) tell('cluster-demoted', after.rule?.primary ?? null, after.rule?.term ?? null);
  if (after.standby) tellStandbyLeader(before.rule, after.rule, tell);
  else if (after.rule && !before.standby) tellRule(before.rule, after.rule, tell);
  tellIntent(before, after, cause, tell);
  if (!before.paused && after.paused) tell('paused', null, after.rule?.term ?? null);
  if ((before.paused && !after.paused) || (before.released && !after.released)) tell('resumed', null, after.rule?.term ?? null);
  const term = after.rule?.term ?? null;
  if (!before.released && after.released) tell('release-requested', null, term);
  for (const id of after.released?.done ?? []) if (!before.released?.done.includes(id)) tell('server-released', id, term);
  for (const id of Object.keys(after.members)) if (!before.members[id]) tell('member-joined', id, null);
  for (const id of Object.keys(before.members)) if (!after.members[id]) tell('member-left', id, null);
  const lost = lostBytes(before, after);
  if (lost > 0) tell('data-lost', after.rule?.primary ?? null, after.rule?.term ?? null, { lostBytes: lost });
  return events;
}

type Tell = (kind: EventDraft['kind'], member: MemberId | null, term: number | null, inputs?: EventDraft['inputs']) => void;

function tellRule(before: Rule | null, after: Rule, tell: Tell): void {
  const inputs = { primary: after.primary, cohort: after.cohort.join(' '), acks: after.acks, timeline: after.timeline };
  if (!before) {
    tell('cluster-created', after.primary, after.term, inputs);
    return;
  }
  if (before.term !== after.term) tell('primary-elected', after.primary, after.term, inputs);
  if (after.established && (!before.established || before.term !== after.term))
    tell('primary-established', after.primary, after.term, inputs);
  if (before.term === after.term && (before.cohort.join() !== after.cohort.join() || before.acks !== after.acks)) {
    tell('cohort-changed', after.primary, after.term, inputs);
  }
  if (before.acks > 0 && after.acks === 0) tell('protection-lost', after.primary, after.term, inputs);
  if (before.acks === 0 && after.acks > 0) tell('protection-regained', after.primary, after.term, inputs);
}

/** Nobody's acknowledgement counts in a standby cluster, so that its rule has none tells nothing. */
function tellStandbyLeader(before: Rule | null, after: Rule | null, tell: Tell): void {
  if (after && (before?.primary !== after.primary || before.term !== after.term))
    tell('standby-leader-changed', after.primary, after.term, { timeline: after.timeline });
}

const REQUESTED = { switchover: 'switchover-requested', failover: 'failover-requested', restart: 'restart-requested' } as const;

function tellIntent(before: ClusterState, after: ClusterState, cause: ChangeCause, tell: Tell): void {
  const term = after.rule?.term ?? null;
  if (after.intent && after.intent.id !== before.intent?.id) {
    const { intent } = after;
    tell(REQUESTED[intent.kind], intent.kind === 'restart' ? intent.member : intent.to, term, { intent: intent.id });
  }
  if (before.intent && after.intent?.id !== before.intent.id) {
    // No term begins with a restart: only who took the wish off the list knows.
    const done = before.intent.kind === 'restart' ? cause.inputs['restarted'] === true : term !== null && term > before.intent.fromTerm;
    tell(done ? 'intent-done' : 'intent-refused', after.rule?.primary ?? null, term, { intent: before.intent.id });
  }
}

function lostBytes(before: ClusterState, after: ClusterState): number {
  const newest = after.history.at(-1);
  return newest && newest.term !== before.history.at(-1)?.term ? newest.lostBytes : 0;
}
