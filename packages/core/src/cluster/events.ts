import type { MemberId } from './member.ts';

/**
 * Every kind of thing that happens to a cluster. The log line, `understudy events`, the dashboard's timeline and the metrics are
 * all drawn from these. The value is what the kind means, for docs/events.md.
 */
export const EVENT_KINDS = {
  'cluster-created': 'The first member was initialised and leads term 1.',
  'cluster-resumed': 'The supervisor took up an existing data directory.',
  'cluster-stopping': 'The supervisor was asked to stop everything.',
  'member-joined': 'A member was added to the cluster.',
  'member-left': 'A member was removed from the cluster.',
  'agent-started': "A member's agent began its work.",
  'agent-exited': "A member's agent process ended; it is started again.",
  'server-started': 'PostgreSQL accepts connections.',
  'server-adopted': 'A running PostgreSQL of an earlier agent was taken over instead of started twice.',
  'server-exited': 'PostgreSQL ended without being asked to.',
  'server-unresponsive': 'PostgreSQL lives but does not answer a fresh connection.',
  'server-failing': 'PostgreSQL answers but its disk is full or takes no fsync.',
  'server-fenced': 'PostgreSQL was killed with all of its processes, so that it can acknowledge nothing more.',
  'clone-started': 'A copy of the primary is being taken.',
  'clone-finished': 'A copy of the primary is complete and verified.',
  'clone-failed': 'A copy of the primary could not be completed.',
  'rewind-finished': 'A member with diverged WAL was rewound to the fork point.',
  'wal-archived': 'Diverged WAL was set aside before it was overwritten.',
  'term-raised': 'Somebody asked for a new term: an election begins.',
  promised: 'A member promised to take no more WAL from primaries of older terms.',
  'primary-elected': 'The new rule was written: it is decided who leads.',
  'primary-promoted': 'The elected member accepts writes in its new timeline.',
  'primary-established': 'Enough replicas hold the promotion point: routers send writes again.',
  'primary-confirmed': 'The old commits of a restarted primary can no longer be lost.',
  following: 'A replica streams from the primary of this term, or from its upstream.',
  'standby-leader-changed': 'Another member of a standby cluster follows the source from now on, and the others follow it.',
  'cluster-promoted': 'An operator promoted a standby cluster: it is to take writes, beginning with an election.',
  'cluster-demoted': 'An operator made the cluster a standby of another one: it takes no writes any more.',
  'source-changed': 'The standby leader follows another server of the source.',
  'cohort-changed': 'The set of replicas whose acknowledgement counts has changed.',
  'protection-lost': 'No replica has to acknowledge a commit any more: a loss of the primary loses writes.',
  'protection-regained': 'Commits are again held by a replica before they are acknowledged.',
  'switchover-requested': 'An operator asked for a planned change of the primary.',
  'failover-requested': 'An operator asked for a failover.',
  'restart-requested': 'An operator asked for the restart of a server.',
  'release-requested': 'An operator asked for the cluster to go on without Understudy.',
  'server-released': 'A server was made a plain one, which goes on without Understudy.',
  'intent-refused': "An operator's wish was refused, and nothing was touched.",
  'intent-done': "An operator's wish was fulfilled.",
  paused: 'No automatic action is taken from now on.',
  resumed: 'Automatic actions are taken again.',
  'data-lost': 'Writes known to the old primary are missing on the new one; how many bytes is in the event.',
  alarm: 'A human decision is needed.',
  'alarm-cleared': 'What an alarm asked for is no longer needed.',
  'router-switched': 'The router sends writes to another primary.',
  'router-held': 'The router began to hold statements, since there is no open primary.',
  'router-released': 'The router sends held statements on.',
  'settings-reloaded': 'The router took on changed settings, or read its certificates again, while it ran.',
  'router-warning': 'The router saw something that an operator should know.',
  decision: 'An automatic decision that has no kind of its own.',
} as const;

export type EventKind = keyof typeof EVENT_KINDS;

/** One thing that happened. */
export interface ClusterEvent {
  /** Grows by one with each event of this cluster; `Last-Event-ID` of the SSE stream. */
  readonly id: number;
  /** Wall clock, for people. */
  readonly atMs: number;
  readonly kind: EventKind;
  readonly member: MemberId | null;
  readonly term: number | null;
  /** One sentence: what happened and why. */
  readonly message: string;
  readonly inputs: Readonly<Record<string, string | number | boolean | null>>;
}

/** An event before the log has given it its number. */
export type EventDraft = Omit<ClusterEvent, 'id'>;
