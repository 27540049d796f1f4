import type { MemberId, MemberReport, Rule } from '../cluster/index.ts';
import { streamName } from '../cluster/index.ts';
import type { Decision } from './action.ts';
import { decision, isLive, leadingServer, reportOf, selfReport } from './facts.ts';
import type { View } from './view.ts';

/** Name of the physical replication slot that a member keeps for another. */
export function slotName(id: MemberId): string {
  return `understudy_${id}`;
}

/**
 * Every member keeps a slot for every other, so that whoever is promoted has the WAL that the others need. A slot goes only when
 * its member has gone, or when a replica that streams keeps it from having a copy of the primary's own.
 */
export function keepSlots(view: View, rule: Rule, nowMs: number): readonly Decision[] {
  const report = selfReport(view);
  const existing = view.local.slots;
  if (report === null || existing === null || (report.server.kind !== 'primary' && report.server.kind !== 'replica')) return [];
  const wanted = Object.keys(view.state.members)
    .filter(id => id !== view.self)
    .map(slotName)
    .sort();
  const missing = wanted.filter(name => !existing.includes(name));
  const drop = [...existing.filter(name => !wanted.includes(name)), ...leftovers(view, report, rule, nowMs)].sort();
  if (drop.length === 0 && missing.length === 0) return [];
  const reason = `Keep a slot for each other member${drop.length > 0 ? '; drop those of members that are gone, and those that the primary has itself' : ''}.`;
  return [decision({ kind: 'slots', ensure: wanted, drop }, reason, { missing: missing.join(','), drop: drop.join(',') })];
}

/** Nothing is lost with them: the primary of this term, from which this replica streams, is seen to have a slot of the same name. */
function leftovers(view: View, { server }: MemberReport, rule: Rule, nowMs: number): readonly string[] {
  const isFollower = server.kind === 'replica' && server.receiver?.streaming && server.followsAs === streamName(view.self, rule.term);
  const leader = isLive(view, rule.primary, nowMs) ? leadingServer(reportOf(view, rule.primary), rule) : null;
  if (!isFollower || leader === null) return [];
  return view.local.leftoverSlots.filter(name => leader.failoverSlots?.includes(name));
}
