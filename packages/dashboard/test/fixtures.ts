import type { ClusterEvent, EventKind } from '@understudy/core/cluster';
import type { MemberStatus, StatusDocument } from '../../server/src/api/types.ts';

/** A healthy cluster of three; what a test is about is overridden. */
export function statusOf(overrides: Partial<StatusDocument> = {}): StatusDocument {
  return {
    schema: 1,
    cluster: 'main',
    verdict: 'healthy',
    summary: 'n1 is the primary of term 3 with 2 replicas.',
    term: 3,
    primary: 'n1',
    paused: false,
    durability: { mode: 'quorum', acks: 1, cohort: ['n2', 'n3'], protected: true },
    endpoints: { router: 'postgres://app@127.0.0.1:5432/app', http: 'http://127.0.0.1:8008' },
    members: [memberOf('n1', { role: 'primary', inCohort: false }), memberOf('n2'), memberOf('n3')],
    router: { clients: 4, reads: { n2: 100, n3: 100 }, writes: 10, held: 0, pid: 7 },
    alarms: [],
    supervisorPid: 1,
    dataDirectory: '/data',
    ...overrides,
  };
}

export function memberOf(id: string, overrides: Partial<MemberStatus> = {}): MemberStatus {
  return {
    id,
    role: 'replica',
    state: 'running',
    host: '127.0.0.1',
    port: 5433,
    postmasterPid: 10,
    timeline: 2,
    receiveLsn: '0/3000060',
    replayLsn: '0/3000060',
    lagBytes: 0,
    lagMs: 0,
    inCohort: true,
    detail: null,
    agentPid: 11,
    ...overrides,
  };
}

export type EventLine = readonly [
  atMs: number,
  kind: EventKind,
  term: number | null,
  member: string | null,
  message?: string,
  inputs?: ClusterEvent['inputs'],
];

/** Numbers the events in their order. */
export function eventsOf(lines: readonly EventLine[]): readonly ClusterEvent[] {
  return lines.map(([atMs, kind, term, member, message = kind, inputs = {}], i) => ({
    id: i + 1,
    atMs,
    kind,
    term,
    member,
    message,
    inputs,
  }));
}
