import type { Rule } from '../cluster/index.ts';
import type { Decision } from './action.ts';
import { askedTerm, decision, selfReport } from './facts.ts';
import type { View } from './view.ts';

/**
 * What must happen whatever else is under way: the promise to the highest term asked for, and the fence of a server that leads no
 * term any more.
 */
export function obligations(view: View, nowMs: number): readonly Decision[] {
  const asked = askedTerm(view.state);
  const decisions: Decision[] = [];
  if (asked > view.local.promisedTerm)
    decisions.push(
      decision({ kind: 'promise', term: asked }, `Term ${asked} was asked for: promise to take no WAL of older terms.`, {
        promisedTerm: view.local.promisedTerm,
        askedTerm: asked,
      }),
    );
  const reason = fenceReason(view, nowMs);
  if (reason !== null)
    decisions.push(
      decision({ kind: 'fence' }, reason, {
        ruleTerm: view.state.rule?.term ?? null,
        promisedTerm: view.local.promisedTerm,
        askedTerm: asked,
      }),
    );
  return decisions;
}

function fenceReason(view: View, nowMs: number): string | null {
  const rule = view.state.rule;
  const server = selfReport(view)?.server;
  if (rule === null || server === undefined) return null;
  switch (server.kind) {
    case 'absent':
    case 'stopped':
    case 'replica':
      return null;
    case 'starting':
      return rule.primary === view.self ? leaseReason(view, rule, nowMs) : null;
    case 'primary':
      if (rule.primary === view.self && server.timeline !== rule.timeline)
        return `This server writes timeline ${server.timeline}, but term ${rule.term} was given timeline ${rule.timeline}.`;
      return staleReason(view, rule) ?? leaseReason(view, rule, nowMs);
    case 'unresponsive':
      if (server.was === 'replica') return silentReplicaReason(view, rule, server.forMs);
      return staleReason(view, rule) ?? leaseReason(view, rule, nowMs);
    case 'failing':
      return server.was === 'primary' ? (staleReason(view, rule) ?? leaseReason(view, rule, nowMs)) : null;
    default:
      return server satisfies never;
  }
}

/**
 * A replica that hangs is started anew. An election waits for its answer, so it gets no more time then than a primary does; else it may still
 * stream and acknowledge, and a restart would cost more than patience.
 */
function silentReplicaReason(view: View, rule: Rule, forMs: number): string | null {
  const { hangTimeoutMs, replicaTimeoutMs } = view.config;
  const patienceMs = askedTerm(view.state) > rule.term ? hangTimeoutMs : Math.max(hangTimeoutMs, replicaTimeoutMs);
  return forMs >= patienceMs ? `This replica has not answered for ${Math.round(forMs)} ms.` : null;
}

/** A running primary leads its term, or it goes: a newer term asked for is enough. */
function staleReason(view: View, rule: Rule): string | null {
  const newest = Math.max(askedTerm(view.state), view.local.promisedTerm);
  if (newest > rule.term) return `Term ${newest} was asked for: the primary of term ${rule.term} steps down.`;
  return rule.primary === view.self ? null : `Member ${rule.primary} leads term ${rule.term}: this primary is of an older term.`;
}

/**
 * With acks 0 nothing but the lease keeps a second primary away, so it counts from the moment at which the renewal was sent. With
 * nobody else registered there is nobody to keep away.
 */
function leaseReason(view: View, rule: Rule, nowMs: number): string | null {
  return leaseHolds(view, rule, nowMs) ? null : `The lease ran out, and no replica guards the commits of this primary (acks 0).`;
}

export function leaseHolds(view: View, rule: Rule, nowMs: number): boolean {
  if (rule.acks > 0) return true;
  const alone = Object.keys(view.state.members).every(id => id === view.self);
  return alone || nowMs - view.local.leaseSentAtMs <= view.config.leaseMs;
}
