import type { Rule, ServerReport } from '../cluster/index.ts';
import type { Decision } from './action.ts';
import { type AlarmCode, alarm } from './alarms.ts';
import { couldReplace, decision, flapBlocked, isolatedWalEnd, repairDue } from './facts.ts';
import { handOver } from './intents.ts';
import { leaseHolds } from './obligations.ts';
import { synchronousNames } from './synchronous-names.ts';
import { raiseTerm } from './triggers.ts';
import type { View } from './view.ts';

/** A primary that hangs and that nobody can replace gets this many hang timeouts before it is started anew: a restart recovers, and drops every client. */
const PATIENT_TIMEOUTS = 10;

/** The rule names this member, but its server does not lead (yet, or any more): promote it, start it again, or give the term away. */
export function becomePrimary(view: View, rule: Rule, server: ServerReport, nowMs: number): readonly Decision[] {
  switch (server.kind) {
    case 'replica':
      return promoteReplica(view, rule, server, nowMs);
    case 'stopped':
      return startStopped(view, rule, server, nowMs);
    case 'starting': {
      const slow = server.sinceMs >= view.config.electionTimeoutMs && couldReplace(view, rule, nowMs);
      return slow ? [raiseTerm(view, 'primary-exited', server.sinceMs, 'The primary is still recovering, and others are ready.')] : [];
    }
    case 'absent':
      return replaceOr(view, rule, nowMs, 0, 'The data directory of the primary is gone.', 'primary-data-missing');
    case 'unresponsive':
      return hung(view, rule, server.forMs, nowMs);
    case 'failing':
      return failing(view, rule, server, nowMs);
    case 'primary':
      return [];
    default:
      return server satisfies never;
  }
}

function promoteReplica(view: View, rule: Rule, server: Extract<ServerReport, { kind: 'replica' }>, nowMs: number): readonly Decision[] {
  if (server.followsAs !== null || server.receiver !== null)
    return [decision({ kind: 'isolate' }, `This member leads term ${rule.term}: it follows nobody.`)];
  const end = isolatedWalEnd(server);
  if (end === null || !leaseHolds(view, rule, nowMs)) return [];
  // A second promotion onto the same timeline would make two histories with one number.
  if (end.timeline >= rule.timeline)
    return [raiseTerm(view, 'primary-exited', 0, `Timeline ${rule.timeline} was begun before; only a new term may write on.`)];
  return [
    decision(
      { kind: 'promote', term: rule.term, timeline: rule.timeline, synchronousNames: synchronousNames(rule, rule.term) },
      `Elected for term ${rule.term}.`,
      { term: rule.term, timeline: rule.timeline, walEnd: end.lsn.toString(), acks: rule.acks },
    ),
  ];
}

function startStopped(view: View, rule: Rule, server: Extract<ServerReport, { kind: 'stopped' }>, nowMs: number): readonly Decision[] {
  if (server.timeline !== rule.timeline)
    return repairDue(view, nowMs) ? [decision({ kind: 'start-isolated' }, `Start as a standby to be promoted for term ${rule.term}.`)] : [];
  const handedOver = server.crashed ? null : handOver(view, rule, nowMs);
  if (handedOver !== null) return [handedOver];
  const { attempts } = view.local.repair;
  if ((server.crashed || attempts >= 2) && couldReplace(view, rule, nowMs))
    return [
      raiseTerm(
        view,
        'primary-exited',
        0,
        `PostgreSQL of the primary ${server.crashed ? 'has exited' : 'does not start'}, and others are ready.`,
      ),
    ];
  const alarms = attempts >= view.config.repairAttempts ? [alarm('primary-cannot-start', { attempts })] : [];
  if (!leaseHolds(view, rule, nowMs) || !repairDue(view, nowMs) || view.local.promisedTerm !== rule.term) return alarms;
  const names = synchronousNames(rule, rule.term);
  const start = decision(
    { kind: 'start-primary', term: rule.term, synchronousNames: names },
    `Start the primary of term ${rule.term} again: nobody else leads.`,
    { term: rule.term, crashed: server.crashed, attempts },
  );
  return [start, ...alarms];
}

function hung(view: View, rule: Rule, forMs: number, nowMs: number): readonly Decision[] {
  if (forMs < view.config.hangTimeoutMs) return [];
  const reason = `PostgreSQL of the primary has not answered for ${Math.round(forMs)} ms.`;
  if (couldReplace(view, rule, nowMs)) return [raiseTerm(view, 'primary-unresponsive', forMs, reason)];
  return forMs >= PATIENT_TIMEOUTS * view.config.hangTimeoutMs
    ? [decision({ kind: 'fence' }, `${reason} Nobody can take over: start it anew.`)]
    : [];
}

function failing(view: View, rule: Rule, server: Extract<ServerReport, { kind: 'failing' }>, nowMs: number): readonly Decision[] {
  if (server.forMs < view.config.hangTimeoutMs) return [];
  if (flapBlocked(view, nowMs)) return [alarm('primary-failing', { fault: server.fault, blockedByEarlierFailover: true })];
  const reason = `The primary's disk ${server.fault === 'disk-full' ? 'is full' : 'takes no fsync'} for ${Math.round(server.forMs)} ms.`;
  return replaceOr(view, rule, nowMs, server.forMs, reason, 'primary-failing');
}

function replaceOr(view: View, rule: Rule, nowMs: number, noticedMs: number, reason: string, code: AlarmCode): readonly Decision[] {
  return couldReplace(view, rule, nowMs) ? [raiseTerm(view, 'primary-failing', noticedMs, reason)] : [alarm(code)];
}
