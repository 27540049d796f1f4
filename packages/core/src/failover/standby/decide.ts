import type { Rule, ServerReport } from '../../cluster/index.ts';
import type { Decision } from '../action.ts';
import { alarm } from '../alarms.ts';
import { askedTerm, decision, isLive, isMyTurn, repairDue, reportOf, selfReport, silenceMs } from '../facts.ts';
import { dropIntent } from '../intents.ts';
import { removeLeft } from '../lead.ts';
import { keepSlots } from '../slots.ts';
import type { View } from '../view.ts';
import { followLeader } from './follower.ts';
import { followSource } from './leader.ts';
import { changeLeader, successorOf } from './succession.ts';

/** A leader that gets nothing of the source for so many replica timeouts gives way to a member that reaches it. */
const CUT_OFF_TIMEOUTS = 3;

/**
 * What a member of a standby cluster does next. Its rule names the standby leader, which streams from the source; the others stream from it. No member is
 * ever promoted here: an operator's promotion takes `standby` out of the state, and the ordinary rules begin with an election.
 */
export function decideStandby(view: View, rule: Rule, nowMs: number): readonly Decision[] {
  const duties = standbyDuties(view, rule);
  if (view.local.busy || duties.length > 0) return duties;
  const { intent } = view.state;
  const isLeader = rule.primary === view.self;
  if (intent !== null && isLeader) return [dropIntent(view, `The ${intent.kind} is refused: this is a standby cluster.`)];
  if (!isLeader && view.state.members[view.self]?.lifecycle === 'leaving')
    return [decision({ kind: 'leave' }, 'It was asked to leave, and does not lead.')];
  return isLeader ? asLeader(view, rule, nowMs) : asFollower(view, rule, nowMs);
}

function standbyDuties(view: View, rule: Rule): readonly Decision[] {
  const asked = askedTerm(view.state);
  const decisions: Decision[] = [];
  if (asked > view.local.promisedTerm)
    decisions.push(decision({ kind: 'promise', term: asked }, `Term ${asked} was asked for: promise to take no WAL of older terms.`));
  const server = selfReport(view)?.server;
  const reason = server === undefined ? null : fenceReason(view, server);
  if (reason !== null) decisions.push(decision({ kind: 'fence' }, reason, { ruleTerm: rule.term }));
  else if (server?.kind === 'primary' && !view.local.busy)
    decisions.push(
      decision(
        { kind: 'shutdown', deadlineMs: view.config.drainTimeoutMs },
        'This cluster became a standby: its primary shuts down cleanly.',
      ),
    );
  return decisions;
}

function fenceReason({ config }: View, server: ServerReport): string | null {
  if (server.kind === 'failing' && server.was === 'primary') return 'This cluster became a standby, and the disk of its primary fails.';
  if (server.kind !== 'unresponsive') return null;
  const patienceMs = server.was === 'primary' ? config.hangTimeoutMs : Math.max(config.hangTimeoutMs, config.replicaTimeoutMs);
  return server.forMs >= patienceMs ? `This server has not answered for ${Math.round(server.forMs)} ms.` : null;
}

function asLeader(view: View, rule: Rule, nowMs: number): readonly Decision[] {
  const { server } = selfReport(view)!;
  const why = cannotLead(server);
  const successor = why === null ? null : successorOf(view, rule, nowMs);
  if (successor !== null) return [changeLeader(view, successor, `${successor} is the standby leader: ${view.self} ${why}.`)];
  return [...followSource(view, rule, server, nowMs), ...removeLeft(view, rule), ...keepSlots(view, rule, nowMs)];
}

function cannotLead(server: ServerReport): string | null {
  switch (server.kind) {
    case 'absent':
      return 'has no data';
    case 'stopped':
      return 'does not run';
    case 'unresponsive':
      return 'does not answer';
    case 'failing':
      return 'has a disk that fails';
    case 'starting':
    case 'primary':
    case 'replica':
      return null;
    default:
      return server satisfies never;
  }
}

function asFollower(view: View, rule: Rule, nowMs: number): readonly Decision[] {
  return [...replaceLeader(view, rule, nowMs), ...followLeader(view, rule, nowMs), ...keepSlots(view, rule, nowMs)];
}

/** The leader is gone, or does not do its work and does not say so itself: the replica that is furthest takes its place. */
function replaceLeader(view: View, rule: Rule, nowMs: number): readonly Decision[] {
  const trouble = troubleOfLeader(view, rule, nowMs);
  if (trouble === null) return [];
  const successor = successorOf(view, rule, nowMs);
  if (successor === null) return isLive(view, rule.primary, nowMs) ? [] : [alarm('standby-leader-missing', { leader: rule.primary })];
  if (!isMyTurn(view, trouble.sinceMs, nowMs, successor)) return [];
  return [changeLeader(view, successor, `${successor} is the standby leader: ${trouble.reason}.`)];
}

function troubleOfLeader(view: View, rule: Rule, nowMs: number): { readonly sinceMs: number; readonly reason: string } | null {
  const { config, local } = view;
  const leader = rule.primary;
  const silent = silenceMs(view, leader);
  if (silent > config.leaseMs)
    return { sinceMs: view.storeHeardAtMs - silent + config.leaseMs, reason: `${leader} has been silent for ${Math.round(silent)} ms` };
  const known = Math.max(local.seen.ruleAtMs, local.startedAtMs);
  const report = reportOf(view, leader);
  if (view.state.members[leader]?.lifecycle !== 'member') return { sinceMs: known, reason: `${leader} is to leave` };
  const awayMs = nowMs - Math.max(local.seen.leadingAtMs, known);
  if (report?.server.kind !== 'replica' && awayMs >= config.electionTimeoutMs)
    return { sinceMs: nowMs - awayMs + config.electionTimeoutMs, reason: `${leader} has not run for ${Math.round(awayMs)} ms` };
  const dryMs = nowMs - Math.max(local.streamedAtMs[leader] ?? 0, known);
  const isCutOff = report?.source?.servers.length === 0 && (local.source?.servers.length ?? 0) > 0;
  const limitMs = CUT_OFF_TIMEOUTS * config.replicaTimeoutMs;
  if (isCutOff && dryMs >= limitMs && repairDue(view, nowMs))
    return { sinceMs: nowMs - dryMs + limitMs, reason: `${leader} does not reach the source, and others do` };
  return null;
}
