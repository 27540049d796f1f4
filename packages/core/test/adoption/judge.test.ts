import { describe, expect, it, test } from 'vitest';
import { type AdoptionInputs, adoptedState, type FoundServer, judgeAdoption } from '../../src/adoption/index.ts';
import type { ClusterState } from '../../src/cluster/index.ts';
import { spec, stateOf } from '../failover/view-builder.ts';

const WISH: AdoptionInputs['wish'] = {
  member: 'n1',
  host: '10.0.0.1',
  port: 5432,
  superuserRole: 'understudy',
  account: { uid: 100, name: 'postgres' },
  programs: { major: 15, version: '15.18', directory: '/usr/lib/postgresql/15/bin', hasRewind: true },
  directory: '/var/lib/understudy/n1',
  canEnterDirectory: true,
  hasTls: false,
  isDelayed: false,
  promisedTerm: 0,
};

const SETTINGS = {
  port: '5432',
  wal_level: 'replica',
  hot_standby: 'on',
  fsync: 'on',
  synchronous_commit: 'on',
  max_wal_senders: '10',
  max_replication_slots: '10',
  wal_log_hints: 'on',
  archive_mode: 'off',
  ssl: 'off',
  logging_collector: 'off',
};

function found(change: Partial<FoundServer> = {}, settings: Readonly<Record<string, string>> = {}): FoundServer {
  return {
    standing: { kind: 'primary', timeline: 3, senders: [] },
    major: 15,
    version: '15.18',
    systemId: '42',
    dataDirectory: '/var/lib/postgresql/15/main',
    isMountPoint: false,
    owner: { uid: 100, name: 'postgres' },
    slots: [],
    tablespaces: [],
    patroniSessions: 0,
    superuser: 'absent',
    md5Roles: [],
    hasPostgresDatabase: true,
    fileFaults: [],
    unreachable: null,
    startsByItself: null,
    ...change,
    settings: { ...SETTINGS, ...settings },
  };
}

/** A replica whose WAL ends on timeline 3 at this position. */
const replica = (lsn: bigint | null, timeline = 3): Partial<FoundServer> => ({
  standing: { kind: 'replica', timeline, walEnd: lsn === null ? null : { timeline, lsn, history: HISTORY }, isStreaming: true },
});

const HISTORY = [
  { timeline: 1, endLsn: 100n },
  { timeline: 2, endLsn: 200n },
];
const RULED: ClusterState = stateOf({ rule: { ...stateOf().rule!, primary: 'n9', timeline: 3 } });
const LEADER: AdoptionInputs['leader'] = { kind: 'answers', systemId: '42', end: { timeline: 3, lsn: 500n, history: HISTORY } };

const judge = (change: Partial<AdoptionInputs> = {}): readonly string[] =>
  judgeAdoption({ found: found(), wish: WISH, state: null, leader: null, ...change }).map(({ level, message }) => `${level}: ${message}`);

const stops = (change: Partial<AdoptionInputs>): readonly string[] => judge(change).filter(line => line.startsWith('stop'));

describe('a running server that is to be adopted', () => {
  it('has nothing in its way when it is well', () => {
    expect(judge()).toEqual([
      'ok: It is a primary on timeline 3, system identifier 42.',
      'ok: PostgreSQL 15.18; the programs in /usr/lib/postgresql/15/bin fit.',
    ]);
    expect(stops({ found: found(replica(500n)), state: RULED, leader: LEADER })).toEqual([]);
  });

  it.each<[string, Partial<AdoptionInputs>, RegExp]>([
    ['of another major version', { found: found({ major: 14, version: '14.9' }) }, /^stop: It is PostgreSQL 14\.9, and/],
    ['of another account', { found: found({ owner: { uid: 7, name: 'pg' } }) }, /belongs to the account pg/],
    ['whose account cannot reach its member', { wish: { ...WISH, canEnterDirectory: false } }, /cannot enter \/var\/lib\/understudy\/n1/],
    ['run by Patroni', { found: found({ patroniSessions: 2 }) }, /^stop: Patroni runs this server/],
    ['that something else may promote', { found: found({}, { promote_trigger_file: '/tmp/x' }) }, /promote_trigger_file/],
    ['that listens elsewhere', { found: found({ unreachable: 'ECONNREFUSED' }) }, /cannot be connected to at 10\.0\.0\.1:5432/],
    ['on another port', { found: found({}, { port: '5433' }) }, /listens on port 5433/],
    ['whose superuser has a password', { found: found({ superuser: 'another-password' }) }, /has a password of its own/],
    ['whose superuser is none', { found: found({ superuser: 'not-superuser' }) }, /no superuser/],
    ['with an error in its files', { found: found({ fileFaults: ['pg_hba.conf line 3: x'] }) }, /pg_hba\.conf line 3/],
    ['without the database postgres', { found: found({ hasPostgresDatabase: false }) }, /no database postgres/],
    ['that nobody can stream from', { found: found({}, { wal_level: 'minimal' }) }, /wal_level is minimal/],
    ['without room for senders', { found: found({}, { max_wal_senders: '3' }) }, /max_wal_senders is 3/],
    ['without room for slots', { found: found({}, { max_replication_slots: '2' }) }, /max_replication_slots is 2/],
    ['that is to be delayed and leads', { wish: { ...WISH, isDelayed: true } }, /applyDelayMs is set/],
    [
      'that is a delayed replica',
      { found: found(replica(500n), { recovery_min_apply_delay: '60000' }), state: RULED, leader: LEADER },
      /60000 ms/,
    ],
    ['beside another primary', { state: RULED }, /n9 leads this cluster in term 7, and this server is a primary, too/],
    ['of another cluster', { state: stateOf({ systemId: '7' }) }, /system identifier 7; this server has 42/],
    ['that was promoted meanwhile', { state: stateOf({ systemId: '42' }) }, /knows n1 on timeline 4, and it writes timeline 3/],
    ['while others make a cluster', { state: stateOf({ rule: null, systemId: null }) }, /have begun to make a new cluster/],
    ['a replica before its primary', { found: found(replica(500n)) }, /there is no cluster in the store yet/],
    [
      'a replica of another cluster',
      { found: found(replica(500n)), state: stateOf({ systemId: '7' }), leader: LEADER },
      /They are|system identifier 7/,
    ],
    ['a replica under the name of the primary', { found: found(replica(500n)), state: stateOf(), leader: null }, /knows n1 as its primary/],
    [
      'a replica that the primary does not let in',
      { found: found(replica(500n)), state: RULED, leader: { kind: 'silent', why: 'no entry' } },
      /n9 does not let its replicas in: no entry/,
    ],
    [
      'a replica of another system',
      { found: found(replica(500n)), state: RULED, leader: { ...LEADER, systemId: '8' } as never },
      /identifier 8/,
    ],
    ['a replica that went another way', { found: found(replica(300n, 2)), state: RULED, leader: LEADER }, /no part of the history of n9/],
    ['a replica on a newer timeline', { found: found(replica(600n, 5)), state: RULED, leader: LEADER }, /no part of the history of n9/],
    ['a replica that still replays', { found: found(replica(null)), state: RULED, leader: LEADER }, /Where its WAL ends is not known/],
    [
      'a replica during an election',
      { found: found(replica(500n)), state: { ...RULED, proposal: { ...RULED.proposal!, term: 8 } }, leader: LEADER },
      /An election is under way \(term 8\)/,
    ],
    [
      'a replica that has promised more',
      { found: found(replica(500n)), state: RULED, leader: LEADER, wish: { ...WISH, promisedTerm: 9 } },
      /has promised term 9 before/,
    ],
  ])('is refused: one %s', (_what, change, expected) => {
    const refused = stops(change);
    expect(refused).toHaveLength(1);
    expect(refused[0]).toMatch(expected);
  });

  it('may have streamed more than the primary had when it was asked', () => {
    expect(stops({ found: found(replica(700n)), state: RULED, leader: LEADER })).toEqual([]);
  });

  it('is told with what somebody should know, the worst first', () => {
    const said = judge({
      found: found(
        {
          standing: { kind: 'primary', timeline: 3, senders: [{ name: 'r1', address: '10.0.0.2', state: 'streaming' }] },
          md5Roles: ['old'],
          isMountPoint: true,
          tablespaces: ['fast'],
          startsByItself: '/etc/postgresql/15/main/start.conf',
          slots: [
            { name: 'cdc', kind: 'logical', active: true, failover: false },
            { name: 'r1', kind: 'physical', active: true, failover: false },
          ],
        },
        { synchronous_standby_names: 'r1', synchronous_commit: 'local', ssl: 'on', wal_log_hints: 'off', data_checksums: 'off' },
      ),
      wish: { ...WISH, hasTls: true },
    });
    const levels = said.map(line => line.split(':')[0]);
    expect(levels).toEqual(
      levels.toSorted((a, b) => ['stop', 'warn', 'note', 'ok'].indexOf(a!) - ['stop', 'warn', 'note', 'ok'].indexOf(b!)),
    );
    for (const words of [
      /^warn: .*mount point/,
      /^warn: There are tablespaces \(fast\)/,
      /^warn: Roles with MD5 passwords .*old/,
      /^warn: Logical slots .*cdc/,
      /^warn: synchronous_standby_names is r1/,
      /^warn: synchronous_commit was local/,
      /^warn: Its certificate becomes/,
      /^note: wal_log_hints is off/,
      /^note: Physical slots of others: r1/,
      /^note: Replicas that stream from it: r1 \(10\.0\.0\.2\)/,
      /^note: .*start\.conf has Debian start it/,
    ])
      expect(
        said.some(line => words.test(line)),
        String(words),
      ).toBe(true);
  });

  it('goes on where it was cut off, and may come back after a release', () => {
    const begun = stateOf({ rule: { ...stateOf().rule!, timeline: 3 } });
    expect(stops({ state: begun })).toEqual([]);
    const over = stateOf({ systemId: '7', released: { atMs: 0, done: ['n1'] } });
    expect(stops({ state: over })).toEqual([]);
  });
});

test('an adopted cluster begins above every term that was asked for or promised, alone and unprotected', () => {
  const durability = stateOf().durability;
  const begin = (before: ClusterState | null, promisedTerm: number): ClusterState =>
    adoptedState(before, { name: 'shop', spec: spec('n1'), durability, systemId: '42', timeline: 3, promisedTerm, atMs: 5 });
  expect(begin(null, 0)).toMatchObject({
    systemId: '42',
    rule: { term: 1, primary: 'n1', cohort: [], acks: 0, timeline: 3, established: true },
  });
  const again = begin(stateOf({ released: { atMs: 0, done: [] } }), 3);
  expect(again.rule?.term).toBe(8);
  expect(again.released).toBeUndefined();
  expect(Object.keys(again.members)).toEqual(['n1']);
  expect(begin(stateOf(), 11).rule?.term).toBe(12);
});
