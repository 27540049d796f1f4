import type { TermRecord } from '../../packages/core/src/cluster/state.ts';
import type { Phases } from './contender.ts';

/** The steps of the failover after a fault, from the cluster's own record of its last term; none when that is of before the fault, or not whole. */
export function phasesOf(last: TermRecord | undefined, faultAtMs: number, writableAtMs: number): Phases {
  if (!last || last.promotedAtMs === null || last.establishedAtMs === null || last.raisedAtMs < faultAtMs) return {};
  return {
    notice: last.raisedAtMs - faultAtMs,
    'recruit, choose': last.electedAtMs - last.raisedAtMs,
    promote: last.promotedAtMs - last.electedAtMs,
    establish: last.establishedAtMs - last.promotedAtMs,
    'routers, first write': writableAtMs - last.establishedAtMs,
  };
}
