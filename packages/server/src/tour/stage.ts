import { setTimeout as pause } from 'node:timers/promises';
import { UnderstudyError } from '@understudy/core/cluster';
import type { ClusterFacade } from '../api/facade.ts';
import type { MemberStatus, StatusDocument } from '../api/types.ts';

const LOOK_EVERY_MS = 20;

/** What a chapter acts with, and where it says what it has measured. */
export interface Stage {
  readonly facade: ClusterFacade;
  found(label: string, value: string): void;
}

/** Looks until there is an answer. Throws `timed-out`. */
export async function until<T>(what: string, limitMs: number, look: () => T | null): Promise<T> {
  const end = performance.now() + limitMs;
  for (;;) {
    const seen = look();
    if (seen !== null) return seen;
    if (performance.now() > end) throw new UnderstudyError('timed-out', { what, limitMs });
    await pause(LOOK_EVERY_MS);
  }
}

export function primaryOf(status: StatusDocument): MemberStatus {
  const primary = status.members.find(member => member.id === status.primary && member.state === 'running');
  if (!primary || status.verdict === 'no-primary') throw new UnderstudyError('no-primary', { why: status.summary.replace(/[.]$/, '') });
  return primary;
}

export function replicasOf(status: StatusDocument): readonly MemberStatus[] {
  return status.members.filter(member => member.role === 'replica' && member.state === 'running' && member.detail === null);
}

/** Throws `no-such-role` when there are fewer. */
export function requireReplicas(status: StatusDocument, count: number): readonly MemberStatus[] {
  const replicas = replicasOf(status);
  if (replicas.length < count)
    throw new UnderstudyError('no-such-role', { role: 'replica', why: `the chapter needs ${count}; ${status.summary}` });
  return replicas;
}
