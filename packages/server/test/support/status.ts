import type { MemberStatus, StatusDocument } from '../../src/api/types.ts';

/** A member as a healthy cluster shows it. */
export function member(id: string, change: Partial<MemberStatus> = {}): MemberStatus {
  const number = Number(id.slice(1));
  return {
    id,
    role: 'replica',
    state: 'running',
    host: '127.0.0.1',
    port: 5432 + number,
    postmasterPid: 1000 + number,
    timeline: 1,
    receiveLsn: '0/3000060',
    replayLsn: '0/3000060',
    lagBytes: 0,
    lagMs: 0,
    inCohort: true,
    detail: null,
    agentPid: 2000 + number,
    ...change,
  };
}

/** A healthy cluster of three. */
export function status(change: Partial<StatusDocument> = {}): StatusDocument {
  return {
    schema: 1,
    cluster: 'main',
    verdict: 'healthy',
    summary: 'n1 is the primary of term 1 with 2 replicas; every commit is on 2 servers before it is acknowledged.',
    term: 1,
    primary: 'n1',
    paused: false,
    durability: { mode: 'quorum', acks: 1, cohort: ['n2', 'n3'], protected: true },
    endpoints: { router: 'postgres://postgres:secret@127.0.0.1:5432/postgres', http: 'http://127.0.0.1:8008' },
    members: [member('n1', { role: 'primary', inCohort: false }), member('n2'), member('n3')],
    router: { clients: 3, reads: { n1: 1, n2: 100, n3: 99 }, writes: 42, held: 0, pid: 3000 },
    alarms: [],
    supervisorPid: 4000,
    dataDirectory: '/srv/understudy-data',
    ...change,
  };
}
