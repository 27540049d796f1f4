import { describe, expect, it } from 'vitest';
import {
  type Choice,
  choose,
  describeRoute,
  EVENTUAL,
  newRouterCausality,
  newSessionCausality,
  noteToken,
  type PrimaryState,
  primaryAsCandidate,
  type RouteRequest,
  type RouterView,
  replicasOf,
  SESSION,
  type SessionCausality,
  STRONG,
} from '../../src/routing/index.ts';
import { replicaAt, report, routerAt, seeded, server, topology, viewOf } from './fixtures.ts';

const NOW = 10_000;
const READ: RouteRequest = { demand: 'replica', wish: 'auto', level: STRONG, waitedMs: 0 };

function route(
  view: RouterView,
  request: Partial<RouteRequest> = {},
  session: SessionCausality = newSessionCausality(),
  nowMs = NOW,
): Choice {
  return choose(view, { ...READ, ...request }, session, nowMs, seeded(1));
}

const absent: PrimaryState = { kind: 'absent', reason: 'election' };
const unconfirmed: PrimaryState = { kind: 'unconfirmed', server: server('n1') };
const draining: PrimaryState = { kind: 'draining', server: server('n1'), drainUntilMs: NOW + 100 };
const at = (lsn: bigint) => routerAt(lsn, topology([]));

describe('a statement that needs the primary', () => {
  it.each([
    ['goes there', undefined, { kind: 'primary', reason: 'write' }],
    ['is held while there is none', absent, { kind: 'hold', reason: 'primary-absent' }],
    ['is held until the new one is confirmed', unconfirmed, { kind: 'hold', reason: 'primary-unconfirmed' }],
    ['is held during a switchover', draining, { kind: 'hold', reason: 'primary-draining' }],
  ])('%s', (_, primary, expected) => {
    const view = viewOf([replicaAt('n2', 50n, NOW)], primary ? { primary } : {});
    expect(route(view, { demand: 'primary' })).toMatchObject(expected);
  });

  it('is not moved by a wish for a replica', () => {
    expect(route(viewOf([replicaAt('n2', 50n, NOW)]), { demand: 'primary', wish: 'replica' }).kind).toBe('primary');
  });
});

describe('a read', () => {
  it('goes to a replica that is fresh enough', () => {
    const view = viewOf([replicaAt('n2', 49n, NOW), replicaAt('n3', 50n, NOW)], { causality: at(50n) });
    for (let i = 0; i < 20; i++)
      expect(route(view)).toMatchObject({ kind: 'replica', replica: { server: { id: 'n3' } }, reason: 'fresh-replica' });
  });

  it('goes to the primary when asked to', () => {
    expect(route(viewOf([replicaAt('n2', 50n, NOW)]), { wish: 'primary' })).toMatchObject({ kind: 'primary', reason: 'asked-for-primary' });
  });

  it('goes on while there is no primary, as nothing new can have been acknowledged', () => {
    const view = viewOf([replicaAt('n2', 50n, NOW)], { causality: at(50n), primary: absent });
    expect(route(view).kind).toBe('replica');
  });

  it('waits for the place of a commit that is not known yet, then takes the primary', () => {
    const view = viewOf([replicaAt('n2', 50n, NOW)], { causality: newRouterCausality() });
    expect(route(view, { waitedMs: 5 })).toEqual({ kind: 'wait-probe', mark: 1, timeoutMs: 15, reason: 'floor-unknown' });
    expect(route(view, { waitedMs: 20 })).toMatchObject({ kind: 'primary', reason: 'floor-unknown' });
  });

  it('is held when the place of a commit is not known and nobody can be asked', () => {
    const causality = newRouterCausality();
    expect(route(viewOf([replicaAt('n2', 50n, NOW)], { causality, primary: absent }))).toEqual({ kind: 'hold', reason: 'primary-absent' });
    expect(route(viewOf([replicaAt('n2', 50n, NOW)], { causality, primary: unconfirmed })).kind).toBe('hold');
    expect(route(viewOf([replicaAt('n2', 50n, NOW)], { causality, primary: draining })).kind).toBe('wait-probe');
  });

  it.each([
    ['waits', {}, {}, { kind: 'wait-replay', floor: { timeline: 1, lsn: 60n }, timeoutMs: 20, reason: 'replicas-stale' }],
    ['takes the primary after waiting', {}, { waitedMs: 20 }, { kind: 'primary', reason: 'replicas-stale' }],
    ['takes the primary at once', { onStale: 'primary' }, {}, { kind: 'primary', reason: 'replicas-stale' }],
    ['is an error', { onStale: 'error' }, {}, { kind: 'error', reason: 'replicas-stale' }],
    ['waits though it must not go to the primary', { readsOnPrimary: 'never' }, {}, { kind: 'wait-replay' }],
    ['is an error when it may not go to the primary', { readsOnPrimary: 'never' }, { waitedMs: 20 }, { kind: 'error' }],
    ['is an error when it was to go to a replica', {}, { wish: 'replica', waitedMs: 20 }, { kind: 'error' }],
  ] as const)('for which all are stale %s', (_, policy, request, expected) => {
    const view = viewOf([replicaAt('n2', 50n, NOW)], { causality: at(60n), policy });
    expect(route(view, request)).toMatchObject(expected);
  });

  it('takes what there is at eventual', () => {
    const view = viewOf([replicaAt('n2', 1n, NOW)], { causality: at(60n) });
    expect(route(view, { level: EVENTUAL }).kind).toBe('replica');
  });

  it('sees at session what its token says, and no more', () => {
    const view = viewOf([replicaAt('n2', 50n, NOW)], { causality: at(60n) });
    const session = newSessionCausality();
    expect(route(view, { level: SESSION }, session).kind).toBe('replica');
    noteToken(session, { timeline: 1, lsn: 55n }, view.topology);
    expect(route(view, { level: SESSION }, session)).toMatchObject({ kind: 'wait-replay', floor: { lsn: 55n } });
  });

  it('at bounded takes a replica within the bound, counting the time since it was heard of', () => {
    const replica = replicaAt('n2', 50n, NOW);
    const view = viewOf([replica]);
    report(replica, 50n, NOW, view.policy, { lagMs: 80 });
    const bounded = { level: { kind: 'bounded', maxLagMs: 100 } } as const;
    expect(route(view, bounded, undefined, NOW + 20).kind).toBe('replica');
    expect(route(view, bounded, undefined, NOW + 21)).toMatchObject({ kind: 'primary', reason: 'replicas-stale' });
    expect(route(viewOf([replica], { policy: { onStale: 'error' } }), bounded, undefined, NOW + 21).kind).toBe('error');
  });

  it('falls back to the primary when no replica may serve', () => {
    expect(route(viewOf([]))).toMatchObject({ kind: 'primary', reason: 'no-replica' });
    expect(route(viewOf([]), { wish: 'replica' })).toMatchObject({ kind: 'hold', reason: 'no-replica' });
    expect(route(viewOf([], { policy: { readsOnPrimary: 'never' } }))).toMatchObject({ kind: 'hold', reason: 'no-replica' });
    expect(route(viewOf([], { primary: absent }))).toMatchObject({ kind: 'hold', reason: 'primary-absent' });
  });

  it('never goes to a replica that is paused, silent, ejected, lagging or without weight', () => {
    const spoil = [
      (replica: ReturnType<typeof replicaAt>) => report(replica, 50n, NOW, undefined, { paused: true }),
      (replica: ReturnType<typeof replicaAt>) => (replica.observedAtMs = NOW - 5_001),
      (replica: ReturnType<typeof replicaAt>) => (replica.ejectedUntilMs = NOW + 1),
      (replica: ReturnType<typeof replicaAt>) => (replica.lagging = true),
      (replica: ReturnType<typeof replicaAt>) => (replica.server = server('n2', { weight: 0 })),
    ];
    for (const spoiled of spoil) {
      const replica = replicaAt('n2', 50n, NOW);
      expect(route(viewOf([replica]), { level: EVENTUAL }).kind).toBe('replica');
      spoiled(replica);
      expect(route(viewOf([replica]), { level: EVENTUAL })).toMatchObject({ kind: 'primary', reason: 'no-replica' });
    }
  });

  it('takes an ejected replica rather than none, the one that returns first, and not a stale one', () => {
    const replicas = [replicaAt('n2', 50n, NOW), replicaAt('n3', 50n, NOW), replicaAt('n4', 1n, NOW)];
    for (const [index, replica] of replicas.entries()) replica.ejectedUntilMs = NOW + 30 - 10 * index;
    const view = viewOf(replicas, { causality: at(50n), policy: { readsOnPrimary: 'never' } });
    expect(route(view)).toMatchObject({ kind: 'replica', replica: { server: { id: 'n3' } }, reason: 'last-resort' });
  });

  it('may go to the primary as one among others, and counts its load', () => {
    const replica = replicaAt('n2', 50n, NOW);
    const candidate = primaryAsCandidate(server('n1'), topology([]), NOW);
    const view = viewOf([replica], { causality: at(50n), policy: { readsOnPrimary: 'share' }, primaryCandidate: candidate });
    const random = seeded(3);
    const kinds = Array.from({ length: 200 }, () => choose(view, READ, newSessionCausality(), NOW, random).kind);
    expect(kinds.filter(kind => kind === 'primary').length).toBeGreaterThan(60);
    expect(kinds.filter(kind => kind === 'replica').length).toBeGreaterThan(60);
    candidate.inFlight = 50;
    expect(route(view).kind).toBe('replica');
    replica.inFlight = 500;
    expect(route(view)).toMatchObject({ kind: 'primary', reason: 'shared-read' });
  });

  it('has a sentence for every reason', () => {
    expect(describeRoute('replicas-stale')).toMatch(/replayed/);
  });
});

describe('a view that nobody has confirmed for too long', () => {
  const stale = viewOf([replicaAt('n2', 50n, NOW)], { primary: unconfirmed, isStale: true });

  it('serves no strong read, however fresh a replica is', () => {
    expect(route(stale)).toMatchObject({ kind: 'hold' });
    expect(route(stale, { waitedMs: 60_000 })).toMatchObject({ kind: 'hold' });
  });

  it.each([SESSION, EVENTUAL, { kind: 'bounded', maxLagMs: 1000 } as const])('serves what promises less: %j', level => {
    expect(route(stale, { level })).toMatchObject({ kind: 'replica' });
  });
});

describe('replicasOf', () => {
  it('keeps what is known of those that stay, starts new ones slowly, and forgets a server that moved', () => {
    const before = [replicaAt('n2', 50n, NOW), replicaAt('n3', 50n, NOW)];
    const after = replicasOf(topology([server('n2', { timeline: 2 }), server('n3', { port: 9999 }), server('n4')]), before, NOW, 'slow');
    expect(after[0]).toBe(before[0]);
    expect(after[0]?.server.timeline).toBe(2);
    expect(after[1]).not.toBe(before[1]);
    expect(after.map(replica => replica.admittedAtMs)).toEqual([Number.NEGATIVE_INFINITY, NOW, NOW]);
  });
});

describe('a delayed replica', () => {
  const delayed = replicaAt('n4', 50n, NOW, { applyDelayMs: 3_600_000 });

  it('serves what promises nothing', () => {
    expect(route(viewOf([delayed]), { level: EVENTUAL })).toMatchObject({ kind: 'replica', replica: { server: { id: 'n4' } } });
  });

  it.each([
    ['strong', STRONG],
    ['session', SESSION],
    ['bounded', { kind: 'bounded', maxLagMs: 1000 }],
  ] as const)('serves nothing at level %s, not even where no floor keeps it off, and is not waited for', (_, level) => {
    expect(route(viewOf([delayed]), { level })).toMatchObject({ kind: 'primary', reason: 'no-replica' });
    expect(route(viewOf([delayed, replicaAt('n2', 50n, NOW)]), { level })).toMatchObject({ replica: { server: { id: 'n2' } } });
  });
});

describe('in a standby cluster', () => {
  const elsewhere: PrimaryState = { kind: 'absent', reason: 'a standby', elsewhere: 'a.test:5432' };
  const standby = (...replicas: Parameters<typeof viewOf>[0]) => viewOf(replicas, { primary: elsewhere });

  it('what needs the primary is refused at once, since none is waited for', () => {
    expect(route(standby(), { demand: 'primary' })).toEqual({ kind: 'error', reason: 'standby-cluster' });
    expect(route(standby(replicaAt('n2', 50n, NOW)), { wish: 'primary', level: EVENTUAL })).toEqual({
      kind: 'error',
      reason: 'standby-cluster',
    });
  });

  it.each([STRONG, SESSION])('a read at level %j is refused, however fresh a replica may be', level => {
    expect(route(standby(replicaAt('n2', 50n, NOW)), { level })).toEqual({ kind: 'error', reason: 'standby-level' });
  });

  it('a read that promises less goes to a replica, and never waits for a primary', () => {
    const view = standby(replicaAt('n2', 50n, NOW));
    expect(route(view, { level: EVENTUAL })).toMatchObject({ kind: 'replica' });
    expect(route(view, { level: { kind: 'bounded', maxLagMs: 1000 } })).toMatchObject({ kind: 'replica' });
    const late = replicaAt('n2', 50n, NOW);
    late.lagMs = 5000;
    expect(route(standby(late), { level: { kind: 'bounded', maxLagMs: 1000 } })).toEqual({ kind: 'error', reason: 'replicas-stale' });
    expect(route(standby(), { level: EVENTUAL })).toEqual({ kind: 'hold', reason: 'no-replica' });
  });
});
