/** What a metric is. Labels take their values from closed lists or are members, so that a cluster never has many series. */
export interface MetricSpec {
  readonly type: 'gauge' | 'counter' | 'histogram';
  readonly labels: readonly string[];
  readonly help: string;
}

/**
 * Every metric, by its name behind `understudy_`. GET /metrics, docs/reference/metrics.md and the check of the Grafana dashboard and
 * the alert rules are made from this. Counters begin at 0 when the process that counts is started, as Prometheus expects.
 */
export const METRICS = {
  info: { type: 'gauge', labels: ['cluster', 'version'], help: 'Version and name; always 1.' },
  verdict: { type: 'gauge', labels: ['verdict'], help: 'State of the cluster: 1 for the one that holds.' },
  term: { type: 'gauge', labels: [], help: 'Number of the present term; it grows with each change of the primary.' },
  paused: { type: 'gauge', labels: [], help: '1 while no automatic action is taken.' },
  protected: { type: 'gauge', labels: [], help: '1 while an acknowledged commit survives the loss of the primary.' },
  acks: { type: 'gauge', labels: [], help: 'How many replicas must hold a commit before it is acknowledged.' },
  alarms: { type: 'gauge', labels: [], help: 'Human decisions that are waited for.' },
  events_total: { type: 'counter', labels: ['kind'], help: 'Events by kind; the catalogue of kinds is docs/events.md.' },

  standby: { type: 'gauge', labels: [], help: '1 while the cluster is a standby of another one, and takes no writes.' },
  standby_leader: { type: 'gauge', labels: ['member'], help: '1 for the member that streams from the source of a standby cluster.' },
  standby_streaming: { type: 'gauge', labels: [], help: '1 while the standby leader streams from the source.' },
  standby_lag_bytes: {
    type: 'gauge',
    labels: [],
    help: 'WAL that the source was last seen to have and the standby leader has not replayed.',
  },
  standby_source_seen_seconds: { type: 'gauge', labels: [], help: 'How long ago a server of the source last answered.' },
  standby_last_commit_timestamp_seconds: {
    type: 'gauge',
    labels: [],
    help: 'When the last transaction that the standby leader has replayed was committed at the source.',
  },
  member_up: { type: 'gauge', labels: ['member'], help: '1 while PostgreSQL of the member runs and answers.' },
  member_role: { type: 'gauge', labels: ['member', 'role'], help: '1 for the role that the member has.' },
  member_timeline: { type: 'gauge', labels: ['member'], help: "PostgreSQL's timeline." },
  member_in_cohort: { type: 'gauge', labels: ['member'], help: "1 while the member's acknowledgement counts." },
  member_receive_lag_bytes: {
    type: 'gauge',
    labels: ['member'],
    help: 'WAL that the primary has flushed and the member has not received.',
  },
  member_replay_lag_bytes: {
    type: 'gauge',
    labels: ['member'],
    help: 'WAL that the primary has flushed and the member has not replayed.',
  },
  member_replay_lag_seconds: { type: 'gauge', labels: ['member'], help: 'Age of what a read on the member sees.' },
  member_apply_delay_seconds: {
    type: 'gauge',
    labels: ['member'],
    help: 'How much later a delayed replica shows each change, on purpose.',
  },
  member_stage_lag_bytes: {
    type: 'gauge',
    labels: ['member', 'stage'],
    help: 'WAL that has not come so far (sent, written, flushed, replayed), as the primary sees it.',
  },
  member_stage_lag_seconds: {
    type: 'gauge',
    labels: ['member', 'stage'],
    help: 'How long ago the primary was where the stage (sent, written, flushed, replayed) is now.',
  },
  member_replay_paused: { type: 'gauge', labels: ['member'], help: '1 while an operator has paused replay.' },

  failovers_total: {
    type: 'counter',
    labels: ['trigger'],
    help: 'Changes of the primary by what began them; planned ones have the trigger switchover.',
  },
  failover_phase_seconds: {
    type: 'histogram',
    labels: ['phase'],
    help: 'Length of each phase of a change of the primary: detect, elect, promote, establish.',
  },
  recent_terms: { type: 'gauge', labels: ['trigger'], help: 'Terms in the history that is kept, by what began them.' },
  last_failover_timestamp_seconds: { type: 'gauge', labels: [], help: 'When the last change of the primary began.' },
  last_failover_lost_bytes: { type: 'gauge', labels: [], help: 'WAL of the old primary that the new one lacks; 0 in quorum.' },
  last_failover_phase_seconds: {
    type: 'gauge',
    labels: ['phase'],
    help: 'Length of each phase of the last change of the primary.',
  },

  router_up: { type: 'gauge', labels: [], help: '1 while the router process runs.' },
  router_clients: { type: 'gauge', labels: [], help: 'Client connections.' },
  router_sessions: { type: 'gauge', labels: ['state'], help: 'Clients by what they do: active, idle, in-transaction.' },
  router_pinned_sessions: { type: 'gauge', labels: [], help: 'Clients that hold a server connection of their own for its session state.' },
  router_held: { type: 'gauge', labels: [], help: 'Statements that wait for a primary or a fresh replica now.' },
  router_hold_seconds: { type: 'histogram', labels: [], help: 'How long statements were held for a primary before they were sent on.' },
  router_hold_failures_total: {
    type: 'counter',
    labels: ['cause'],
    help: 'Statements that were held in vain: timed-out, or full (too many were held).',
  },
  router_writes_total: { type: 'counter', labels: [], help: 'Statements sent to the primary as writes.' },
  router_reads_total: { type: 'counter', labels: ['member'], help: 'Reads answered by each member.' },
  router_answer_seconds: {
    type: 'histogram',
    labels: ['member'],
    help: 'From sending a unit of work (a statement, or all up to a Sync) to a member until its answer is whole.',
  },
  router_fresh_wait_seconds: {
    type: 'histogram',
    labels: ['reason'],
    help: 'How long reads waited for freshness: floor-unknown (the primary was asked), replicas-stale (for replay), or another reason.',
  },
  router_retries_total: {
    type: 'counter',
    labels: ['cause'],
    help: 'Units of work that were run again: by the SQLSTATE of a replica, lost (its connection broke), or why a lane could not carry it.',
  },
  router_lane_reads_total: { type: 'counter', labels: [], help: 'Reads on connections that several clients share at the same time.' },
  router_lanes: { type: 'gauge', labels: [], help: 'Connections that several clients share at the same time.' },
  router_pool_connections: {
    type: 'gauge',
    labels: ['member', 'role', 'state'],
    help: 'Connections to each member, busy and idle; those of all users and databases together.',
  },
  router_pool_waiting: { type: 'gauge', labels: ['member', 'role'], help: 'Clients that wait for a connection to the member.' },
  router_parses_total: {
    type: 'counter',
    labels: ['outcome'],
    help: 'Parse messages of clients: sent to a server, or reused (it had the statement already).',
  },
  router_refused_logins_total: { type: 'counter', labels: [], help: 'Logins that the router refused.' },
  router_cancels_total: { type: 'counter', labels: [], help: 'Cancel requests that met a client.' },
} as const;

export type MetricName = keyof typeof METRICS;

/** What is known of a metric. */
export function specOf(name: MetricName): MetricSpec {
  return METRICS[name];
}

/** The names whose metric is of this type. */
export type MetricOf<T extends MetricSpec['type']> = { [N in MetricName]: (typeof METRICS)[N]['type'] extends T ? N : never }[MetricName];

/** The labels of a metric with their values. */
export type LabelsOf<N extends MetricName> = Readonly<Record<(typeof METRICS)[N]['labels'][number], string>>;

/** As Prometheus knows it. */
export function fullName(name: MetricName): string {
  return `understudy_${name}`;
}
