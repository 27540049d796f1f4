import type { Lsn } from '@understudy/core/cluster';

export interface WalEndInputs {
  /** pg_last_wal_receive_lsn(), read before the replay position. */
  readonly receiveLsn: Lsn | null;
  readonly replayLsn: Lsn | null;
  /** Timeline that is being replayed. */
  readonly replayTimeline: number;
  /** pg_stat_wal_receiver.received_tli; null without a walreceiver. */
  readonly receivedTimeline: number | null;
  /** The startup process waits for more WAL than there is. */
  readonly startupWaitsForWal: boolean;
  /** Newest timeline with a history file in pg_wal. */
  readonly newestTimeline: number;
}

export interface WalEnd {
  readonly timeline: number;
  readonly lsn: Lsn;
}

/**
 * Up to where a standby durably holds WAL, or null while that is not certain.
 *
 * After a restart the received position is unset and the replayed one still climbs through WAL that was flushed, and acknowledged, before: taking
 * it for the end would understate the standby. The startup process asks for streaming only after it has read all local WAL
 * (WaitForWALToBecomeAvailable in xlogrecovery.c), so a received position that is set, or a startup process that waits, proves that
 * everything local was read. The received position itself begins anew at a segment's start then, hence the greater of the two.
 *
 * A position found by replay may lie a little below the one that was received before the restart: the beginning of a record that never came to its end is
 * dropped. No commit is lost by that, since a commit is acknowledged only when its whole record is there.
 *
 * The timeline needs care of its own: what was received may lie on a newer one than what was replayed. Without a walreceiver to say so, the end
 * is known once no newer history was fetched, or all is replayed.
 */
export function walEnd(inputs: WalEndInputs): WalEnd | null {
  const { receiveLsn, replayLsn, replayTimeline, receivedTimeline } = inputs;
  if (replayLsn === null || (receiveLsn === null && !inputs.startupWaitsForWal)) return null;
  if (receiveLsn === null || receiveLsn <= replayLsn) return { timeline: replayTimeline, lsn: replayLsn };
  if (receivedTimeline !== null) return { timeline: receivedTimeline, lsn: receiveLsn };
  return inputs.newestTimeline <= replayTimeline ? { timeline: replayTimeline, lsn: receiveLsn } : null;
}
