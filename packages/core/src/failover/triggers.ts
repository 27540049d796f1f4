import type { Rule, Trigger } from '../cluster/index.ts';
import type { Decision } from './action.ts';
import { alarm } from './alarms.ts';
import { couldReplaceWithLoss } from './elect.ts';
import {
  absenceMs,
  askedTerm,
  changeStore,
  couldReplace,
  flapBlocked,
  isLive,
  isMyTurn,
  leadingServer,
  leaseMarginMs,
  liveCandidates,
  maySync,
  reportOf,
  silenceMs,
} from './facts.ts';
import { parseStreamName } from '../cluster/index.ts';
import { unheardPrimary } from './unheard.ts';
import type { View } from './view.ts';
import { countedByZone } from './zones.ts';

/** Raises the term: from now on every member promises and answers. */
export function raiseTerm(view: View, trigger: Trigger, noticedMs: number, reason: string): Decision {
  const term = askedTerm(view.state) + 1;
  const proposal = { term, by: view.self, trigger, atMs: view.wallMs, noticedMs: Math.round(noticedMs) };
  return changeStore({ ...view.state, proposal }, reason, { term, trigger, noticedMs: proposal.noticedMs });
}

/** What another member sees wrong with the primary, and since when it may act. */
interface Trouble {
  readonly trigger: Trigger;
  readonly noticedMs: number;
  /** Monotonic time from which the others may act, one after the other. */
  readonly sinceMs: number;
  readonly reason: string;
}

/** A member that is not the primary: raise the term if the primary is gone, or cannot do its work and does not say so itself. */
export function watchPrimary(view: View, rule: Rule, nowMs: number): readonly Decision[] {
  const trouble = troubleOfPrimary(view, rule, nowMs);
  if (trouble === null) return [];
  if (couldReplace(view, rule, nowMs) || (trouble.trigger === 'primary-lost' && couldReplaceWithLoss(view, rule, nowMs))) {
    if (!isMyTurn(view, trouble.sinceMs, nowMs)) return [];
    return [raiseTerm(view, trouble.trigger, trouble.noticedMs, trouble.reason)];
  }
  return trouble.trigger === 'primary-lost'
    ? [alarm('needs-accept-data-loss', { primary: rule.primary, silentMs: Math.round(trouble.noticedMs) })]
    : [];
}

function troubleOfPrimary(view: View, rule: Rule, nowMs: number): Trouble | null {
  const { config, local } = view;
  // Without acks the lease alone keeps the primary from acknowledging, and it counts from any report that the store has.
  const silent = rule.acks === 0 ? silenceMs(view, rule.primary) : absenceMs(view, rule.primary);
  const leaseMs = config.leaseMs + (rule.acks === 0 ? leaseMarginMs(view) : 0);
  if (silent > leaseMs) {
    const veto = vetoOf(view, rule, nowMs);
    if (veto !== null) return null;
    return {
      trigger: 'primary-lost',
      noticedMs: silent,
      sinceMs: view.storeHeardAtMs - silent + leaseMs,
      reason: `The primary ${rule.primary} has been silent for ${Math.round(silent)} ms, and no replica streams from it.`,
    };
  }
  if (!isLive(view, rule.primary, nowMs)) return null;
  if (leadingServer(reportOf(view, rule.primary), rule)) return troubleOfReplicas(view, rule, nowMs);
  if (reportOf(view, rule.primary)?.server.kind === 'failing' && flapBlocked(view, nowMs)) return null;
  // Its own agent acts at once; the others step in when it does not.
  const sinceMs = Math.max(local.seen.leadingAtMs, local.seen.ruleAtMs, local.startedAtMs) + config.electionTimeoutMs;
  if (nowMs < sinceMs) return null;
  return {
    trigger: rule.established ? 'primary-unresponsive' : 'election-stalled',
    noticedMs: nowMs - sinceMs + config.electionTimeoutMs,
    sinceMs,
    reason: `The primary ${rule.primary} has not led term ${rule.term} for ${Math.round(nowMs - sinceMs + config.electionTimeoutMs)} ms.`,
  };
}

/** The primary is well, and those whose acknowledgements its commits wait for are cut off from it. */
function troubleOfReplicas(view: View, rule: Rule, nowMs: number): Trouble | null {
  const unheard = unheardPrimary(view, rule, nowMs);
  if (unheard === null) return null;
  const { by, silentMs } = unheard;
  return {
    trigger: 'primary-unheard',
    noticedMs: silentMs,
    sinceMs: nowMs - silentMs + view.config.streamVetoMs,
    reason: `${by.join(', ')} lost the primary ${rule.primary} ${Math.round(silentMs)} ms ago and reach each other: nobody is left who could acknowledge its commits.`,
  };
}

/**
 * A live replica that has just had a message of this term's primary proves that its PostgreSQL works, whatever its agent does. One that is on an
 * older timeline may have it of a member that was elected and never promoted. And where only what the primary sends arrives, a keepalive may come long after
 * it could last be told anything: once it has been absent for as long as a message counts, one who gets no answer of its machine does not speak for it.
 */
function vetoOf(view: View, rule: Rule, nowMs: number): string | null {
  const isLongAbsent = rule.acks > 0 && absenceMs(view, rule.primary) >= view.config.streamVetoMs;
  for (const [id, heard] of Object.entries(view.members)) {
    if (isLongAbsent && heard.report.sight?.lost.includes(rule.primary)) continue;
    const { server } = heard.report;
    if (server.kind !== 'replica' || !server.receiver?.streaming || !isLive(view, id, nowMs)) continue;
    if (parseStreamName(server.followsAs ?? '')?.term !== rule.term || server.timeline < rule.timeline) continue;
    if (server.receiver.lastMessageAgeMs + Math.max(0, nowMs - heard.heardAtMs) < view.config.streamVetoMs) return id;
  }
  return null;
}

/** A term that is not established waits at most this many times as long as the first of its row. */
const LONGEST_STALL = 16;

/**
 * A primary that cannot establish its term: the next term may have others in its cohort. At once when there are some that could help; else each term of
 * a row waits twice as long as the one before, since a copy that is being made, or a replica that must be cloned anew, starts over with each of them.
 */
export function establishingStalled(view: View, rule: Rule, nowMs: number): Decision | null {
  const waitedMs = nowMs - view.local.seen.ruleAtMs;
  const leastMs = 2 * view.config.electionTimeoutMs;
  if (rule.established || waitedMs < leastMs) return null;
  // One that still copies, or starts, would not be recruited in time: the next term would have no more in its cohort than this one.
  const able = liveCandidates(view, rule, nowMs).filter(
    id => maySync(view.state.members[id]) && reportOf(view, id)?.server.kind === 'replica',
  );
  const helpers = countedByZone(view.state, rule.primary, able).filter(id => !rule.cohort.includes(id));
  const isAlone = helpers.length === 0;
  if (isAlone && view.state.durability.whenAlone === 'block') return null;
  if (isAlone && waitedMs < leastMs * Math.min(LONGEST_STALL, 2 ** (rule.before.length - 1))) return null;
  return raiseTerm(view, 'election-stalled', waitedMs, `Term ${rule.term} was not established for ${Math.round(waitedMs)} ms.`);
}
