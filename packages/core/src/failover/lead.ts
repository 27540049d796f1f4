import type { ClusterState, MemberId, PrimaryServer, Rule } from '../cluster/index.ts';
import type { Decision } from './action.ts';
import { alarm } from './alarms.ts';
import { holdersOf, keepCohort, setNames } from './cohort.ts';
import { changeStore, decision, reportOf, silenceMs } from './facts.ts';
import { serveIntent } from './intents.ts';
import { parseSynchronousNames } from './synchronous-names.ts';
import { sameSet } from './cohort-plan.ts';
import { establishingStalled } from './triggers.ts';
import type { View } from './view.ts';

/** The duties of a primary that leads its term: open it, then keep the cohort, then the operator's wishes. */
export function lead(view: View, rule: Rule, server: PrimaryServer, nowMs: number): readonly Decision[] {
  const opening = open(view, rule, server, nowMs);
  if (opening !== null) return opening;
  const wish = serveIntent(view, rule, server, nowMs);
  if (wish.length > 0) return wish;
  const cohort = keepCohort(view, rule, server, nowMs);
  const leaving = view.state.members[view.self]?.lifecycle === 'leaving' ? [alarm('primary-leaving')] : [];
  return [...cohort, ...removeLeft(view, rule), ...leaving];
}

/**
 * Until `acks` of the cohort have flushed all that was there when it opened, an old commit seen here could still be lost (Raft's
 * figure 8), after a promotion and after a restart alike. Null when the primary is open.
 */
function open(view: View, rule: Rule, server: PrimaryServer, nowMs: number): readonly Decision[] | null {
  const opened = view.local.open;
  if (opened === null || opened.term !== rule.term)
    return [decision({ kind: 'begin-confirm', term: rule.term }, `This server leads term ${rule.term}: note where its WAL stands.`)];
  const holders = holdersOf(server, rule, rule.cohort, opened.barrierLsn);
  const inputs = { barrierLsn: opened.barrierLsn.toString(), holders, acks: rule.acks };
  const names = parseSynchronousNames(server.synchronousNames, rule.term);
  if (!rule.established && (names === null || !sameSet(names, rule)))
    return [setNames(rule, rule, `PostgreSQL waits for others than term ${rule.term} names.`)];
  if (holders < rule.acks || server.flushLsn < opened.barrierLsn) {
    const stalled = establishingStalled(view, rule, nowMs);
    if (stalled !== null) return [stalled];
    return opened.confirmed ? null : rule.established ? keepCohort(view, rule, server, nowMs) : [];
  }
  if (!rule.established) {
    const reason = `Term ${rule.term} is established: ${holders} of its cohort hold the start of its timeline.`;
    return [changeStore(establishedState(view.state, rule, opened.atWallMs, view.wallMs), reason, inputs)];
  }
  if (opened.confirmed) return null;
  return [decision({ kind: 'confirm', term: rule.term }, `Nothing that this primary shows can be lost any more.`, inputs)];
}

function establishedState(state: ClusterState, rule: Rule, promotedAtMs: number, wallMs: number): ClusterState {
  const history = state.history.map(record => (record.term === rule.term ? { ...record, promotedAtMs, establishedAtMs: wallMs } : record));
  return { ...state, rule: { ...rule, established: true, before: [] }, history };
}

/** A member that has left the cohort and stopped is taken off the list; then its slots go, too. */
export function removeLeft(view: View, rule: Rule): readonly Decision[] {
  const gone = Object.values(view.state.members).find(
    spec => spec.lifecycle === 'leaving' && spec.id !== rule.primary && hasLeft(view, rule, spec.id),
  );
  if (!gone) return [];
  const members = Object.fromEntries(Object.entries(view.state.members).filter(([id]) => id !== gone.id));
  return [changeStore({ ...view.state, members }, `${gone.id} has left the cluster.`, { member: gone.id })];
}

function hasLeft(view: View, rule: Rule, id: MemberId): boolean {
  if (rule.cohort.includes(id)) return false;
  const kind = reportOf(view, id)?.server.kind;
  return silenceMs(view, id) > view.config.replicaTimeoutMs || kind === 'stopped' || kind === 'absent';
}
