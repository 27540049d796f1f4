import { type ClusterState, type Lsn, type MemberId, type MemberReport, maxLsn, type ServerReport } from '@understudy/core/cluster';
import type { LagClock, Topology } from '@understudy/core/routing';
import type { RouterStatus, StatusDocument } from '../api/types.ts';

/** A report, and how long ago it came. */
export interface AgedReport {
  readonly report: MemberReport;
  readonly ageMs: number;
  /** The agent that spoke has ended since. */
  readonly agentEnded: boolean;
}

/** All that a status document is made from. */
export interface StatusInputs {
  readonly state: ClusterState;
  readonly topology: Topology;
  readonly reports: ReadonlyMap<MemberId, AgedReport>;
  readonly agentPids: ReadonlyMap<MemberId, number>;
  readonly router: RouterStatus;
  readonly endpoints: StatusDocument['endpoints'];
  readonly lag: LagClock;
  readonly nowMs: number;
  /** A member not heard of for this long is shown as unreachable. */
  readonly unreachableMs: number;
  readonly supervisorPid: number;
  readonly dataDirectory: string;
  readonly describeAlarm: (code: string) => string;
}

/** As of the moment at which the member spoke: what the primary wrote since then is not held against what it said before. */
export function lagMs(inputs: StatusInputs, speaker: MemberId, position: Lsn): number {
  return inputs.lag.lagMs(position, inputs.nowMs - (inputs.reports.get(speaker)?.ageMs ?? 0));
}

/** Up to where the member shows what was committed. */
export function replayedOf(server: ServerReport | undefined): Lsn | null {
  if (server?.kind === 'primary') return server.flushLsn;
  if (server?.kind !== 'replica') return null;
  return server.replayLsn === null ? null : maxLsn(server.replayLsn, 0n);
}
