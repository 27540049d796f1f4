import type { MemberId } from '../cluster/index.ts';
import type { Decision } from './action.ts';
import { decision, selfReport } from './facts.ts';
import type { View } from './view.ts';

/** Name of the physical replication slot that a member keeps for another. */
export function slotName(id: MemberId): string {
  return `understudy_${id}`;
}

/**
 * Every member keeps a slot for every other, so that whoever is promoted has the WAL that the others need. A slot goes only when
 * its member has gone.
 */
export function keepSlots(view: View): readonly Decision[] {
  const kind = selfReport(view)?.server.kind;
  const existing = view.local.slots;
  if (existing === null || (kind !== 'primary' && kind !== 'replica')) return [];
  const wanted = Object.keys(view.state.members)
    .filter(id => id !== view.self)
    .map(slotName)
    .sort();
  const drop = existing.filter(name => !wanted.includes(name)).sort();
  const missing = wanted.filter(name => !existing.includes(name));
  if (drop.length === 0 && missing.length === 0) return [];
  const reason = `Keep a slot for each other member${drop.length > 0 ? '; drop those of members that are gone' : ''}.`;
  return [decision({ kind: 'slots', ensure: wanted, drop }, reason, { missing: missing.join(','), drop: drop.join(',') })];
}
