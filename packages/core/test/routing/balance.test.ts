import { describe, expect, it } from 'vitest';
import {
  choose,
  DEFAULT_READ_POLICY,
  EVENTUAL,
  ejectOutliers,
  expectedLatencyMs,
  newReplica,
  newSessionCausality,
  type ReadPolicy,
  type ReplicaState,
  type RoutableServer,
  recordFailure,
  recordFinish,
  recordStart,
} from '../../src/routing/index.ts';
import { replicaAt, report, seeded, server, viewOf } from './fixtures.ts';

const { balance: BALANCE } = DEFAULT_READ_POLICY;

/** A replica that takes `serviceMs` a statement on each of its `workers`; `dead` answers nothing but errors. */
interface Machine {
  readonly state: ReplicaState;
  readonly workers: number;
  serviceMs: number;
  health: 'alive' | 'dead';
}

interface Outcome {
  readonly finished: Map<string, number>;
  readonly failures: number;
  readonly latenciesMs: number[];
}

interface Load {
  /** Clients that each wait for their answer before they ask again. */
  readonly clients: number;
  readonly untilMs: number;
  readonly seed: number;
  readonly policy?: Partial<ReadPolicy>;
  readonly each?: (nowMs: number) => void;
}

const machine = (id: string, serviceMs: number, part: Partial<RoutableServer> = {}, workers = 4): Machine => ({
  state: replicaAt(id, 1n, 0, part),
  workers,
  serviceMs,
  health: 'alive',
});

/** Closed-loop clients on replicas with queues, a discrete event at a time on a clock of its own. */
function simulate(machines: readonly Machine[], load: Load): Outcome {
  const random = seeded(load.seed);
  const view = viewOf(
    machines.map(one => one.state),
    { policy: { ...load.policy, readsOnPrimary: 'never' } },
  );
  const outcome: Outcome = { finished: new Map(), failures: 0, latenciesMs: [] };
  const freeAtMs = new Map(machines.map(one => [one, Array.from({ length: one.workers }, () => 0)]));
  // Clients start spread over the first millisecond.
  let events = Array.from({ length: load.clients }, (_, i) => ({ atMs: i / load.clients, done: (): void => undefined }));
  let failures = 0;
  while (events.length > 0) {
    const next = events.reduce((a, b) => (b.atMs < a.atMs ? b : a));
    events = events.filter(event => event !== next);
    const now = next.atMs;
    next.done();
    if (now >= load.untilMs) continue;
    load.each?.(now);
    for (const one of machines) report(one.state, 1n, now);
    const choice = choose(view, { demand: 'replica', wish: 'auto', level: EVENTUAL, waitedMs: 0 }, newSessionCausality(), now, random);
    if (choice.kind !== 'replica') throw new Error(`no replica: ${choice.kind}`);
    const chosen = machines.find(one => one.state === choice.replica) as Machine;
    recordStart(chosen.state);
    if (chosen.health === 'dead') {
      failures++;
      recordFailure(chosen.state, 'started', now, BALANCE);
      events.push({ atMs: now + 0.1, done: () => undefined });
      continue;
    }
    const workers = freeAtMs.get(chosen) as number[];
    const worker = workers.indexOf(Math.min(...workers));
    const endMs = Math.max(now, workers[worker] as number) + chosen.serviceMs * (0.5 + random());
    workers[worker] = endMs;
    events.push({
      atMs: endMs,
      done: () => {
        recordFinish(chosen.state, endMs - now, endMs);
        outcome.latenciesMs.push(endMs - now);
        outcome.finished.set(chosen.state.server.id, (outcome.finished.get(chosen.state.server.id) ?? 0) + 1);
      },
    });
  }
  return { ...outcome, failures };
}

const share = (outcome: Outcome, id: string): number => {
  const total = [...outcome.finished.values()].reduce((a, b) => a + b, 0);
  return (outcome.finished.get(id) ?? 0) / total;
};

describe('balance in simulation', () => {
  it('is even between equals, be there one client or many', () => {
    for (const clients of [1, 3, 32]) {
      const outcome = simulate([machine('n2', 1), machine('n3', 1)], { clients, untilMs: 2000, seed: 1 });
      expect(share(outcome, 'n2')).toBeGreaterThan(0.44);
      expect(share(outcome, 'n2')).toBeLessThan(0.56);
    }
  });

  it('gives a replica of a third of the speed about a third of the work under load', () => {
    const outcome = simulate([machine('fast', 1), machine('slow', 3)], { clients: 32, untilMs: 2000, seed: 2 });
    expect(share(outcome, 'slow')).toBeGreaterThan(0.15);
    expect(share(outcome, 'slow')).toBeLessThan(0.33);
  });

  it('leaves a slow replica alone while the fast one is idle, but tries it now and then', () => {
    const outcome = simulate([machine('fast', 1), machine('slow', 20)], { clients: 1, untilMs: 20_000, seed: 3 });
    expect(share(outcome, 'slow')).toBeLessThan(0.1);
    expect(outcome.finished.get('slow')).toBeGreaterThan(0);
  });

  it('finds out when a slow replica has become fast', () => {
    const slow = machine('slow', 20);
    const outcome = simulate([machine('fast', 1), slow], {
      clients: 2,
      untilMs: 60_000,
      seed: 4,
      each: now => {
        if (now > 10_000) slow.serviceMs = 1;
      },
    });
    expect(share(outcome, 'slow')).toBeGreaterThan(0.25);
  });

  it('does not hold a cold first answer against a replica', () => {
    const cold = machine('cold', 1);
    recordFinish(cold.state, 40, 0);
    const known = machine('known', 1);
    recordFinish(known.state, 1, 0);
    // One client: the load never makes `known` look slow.
    const outcome = simulate([known, cold], { clients: 1, untilMs: 6000, seed: 10 });
    expect(outcome.finished.get('cold')).toBeGreaterThan(0);
    expect(expectedLatencyMs(cold.state, 6000)).toBeLessThan(3);
    expect(share(outcome, 'cold')).toBeGreaterThan(0.2);
  });

  it('gives a replica with a cold first answer its share of a burst that is over in no time', () => {
    const cold = machine('cold', 1);
    recordFinish(cold.state, 40, 0);
    const known = machine('known', 1);
    for (let i = 0; i < 10; i++) recordFinish(known.state, 1, 0);
    const outcome = simulate([known, cold], { clients: 1, untilMs: 60, seed: 11 });
    expect(share(outcome, 'cold')).toBeGreaterThan(0.3);
  });

  it('follows weights', () => {
    for (const clients of [1, 32]) {
      const outcome = simulate([machine('big', 1, { weight: 300 }, 6), machine('small', 1, { weight: 100 }, 2)], {
        clients,
        untilMs: 2000,
        seed: 5,
      });
      expect(share(outcome, 'small')).toBeGreaterThan(0.15);
      expect(share(outcome, 'small')).toBeLessThan(0.36);
    }
  });

  it('starts a new replica with a small share that grows to a full one', () => {
    const shares = [0, 2500, 6000].map(sinceMs => {
      const old = machine('old', 1);
      const fresh = machine('new', 1);
      fresh.state.admittedAtMs = -sinceMs;
      return share(simulate([old, fresh], { clients: 24, untilMs: 400, seed: 6 }), 'new');
    });
    expect(shares[0]).toBeLessThan(0.25);
    expect(shares[1]).toBeGreaterThan(shares[0] as number);
    expect(shares[2]).toBeGreaterThan(0.42);
  });

  it('stays in its zone while that can bear the load, and spills over when it cannot', () => {
    const zones = (): Machine[] => [machine('near', 1, { zone: 'a' }, 2), machine('far', 1, { zone: 'b' }, 2)];
    const calm = simulate(zones(), { clients: 2, untilMs: 1000, seed: 7, policy: { zone: 'a' } });
    expect(share(calm, 'far')).toBeLessThan(0.05);
    const busy = simulate(zones(), { clients: 64, untilMs: 1000, seed: 7, policy: { zone: 'a' } });
    expect(share(busy, 'far')).toBeGreaterThan(0.15);
  });

  it('ejects a dead replica after a few failures and takes it back when it is well', () => {
    const ill = machine('ill', 1);
    ill.health = 'dead';
    const outcome = simulate([machine('well', 1), ill], {
      clients: 8,
      untilMs: 20_000,
      seed: 8,
      each: now => {
        ill.health = now < 5000 ? 'dead' : 'alive';
      },
    });
    // Three at first and three after each of the ejections of 1 and 2 seconds, and those that were on their way.
    expect(outcome.failures).toBeGreaterThanOrEqual(9);
    expect(outcome.failures).toBeLessThan(20);
    expect(share(outcome, 'ill')).toBeGreaterThan(0.2);
  });

  it('keeps the load of the fullest of a hundred near the mean', () => {
    const machines = Array.from({ length: 100 }, (_, i) => machine(`n${i}`, 5, {}, 8));
    const outcome = simulate(machines, { clients: 300, untilMs: 100, seed: 9 });
    const counts = machines.map(one => outcome.finished.get(one.state.server.id) ?? 0);
    const mean = counts.reduce((a, b) => a + b, 0) / counts.length;
    expect(Math.max(...counts)).toBeLessThan(mean * 1.6);
    expect(Math.min(...counts)).toBeGreaterThan(mean * 0.5);
  });
});

describe('ejection', () => {
  it('lasts longer each time, up to a limit, and a success ends the series', () => {
    const replica = newReplica(server('n2'), 0, 'warm');
    const lengths: number[] = [];
    let now = 0;
    for (let round = 0; round < 7; round++) {
      for (let i = 0; i < BALANCE.ejectAfterFailures; i++) recordFailure(replica, 'not-started', now, BALANCE);
      lengths.push(replica.ejectedUntilMs - now);
      now = replica.ejectedUntilMs;
    }
    expect(lengths).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
    recordFinish(replica, 1, now);
    for (let i = 0; i < BALANCE.ejectAfterFailures; i++) recordFailure(replica, 'not-started', now, BALANCE);
    expect(replica.ejectedUntilMs - now).toBe(1000);
  });

  it('needs failures in a row', () => {
    const replica = newReplica(server('n2'), 0, 'warm');
    for (let i = 0; i < 10; i++) {
      recordFailure(replica, 'not-started', i, BALANCE);
      recordFailure(replica, 'not-started', i, BALANCE);
      recordFinish(replica, 1, i);
    }
    expect(replica.ejectedUntilMs).toBe(Number.NEGATIVE_INFINITY);
  });

  it('meets an outlier in latency, but never more than half of the replicas', () => {
    const replicas = ['n2', 'n3', 'n4', 'n5'].map(id => newReplica(server(id), 0, 'warm'));
    const latencies = [2, 3, 500, 900];
    for (const [i, replica] of replicas.entries()) recordFinish(replica, latencies[i] as number, 0);
    ejectOutliers(replicas, 0, BALANCE);
    expect(replicas.map(replica => replica.ejectedUntilMs > 0)).toEqual([false, false, true, true]);
    const allSlow = ['n2', 'n3'].map(id => newReplica(server(id), 0, 'warm'));
    for (const replica of allSlow) recordFinish(replica, 900, 0);
    ejectOutliers(allSlow, 0, BALANCE);
    expect(allSlow.some(replica => replica.ejectedUntilMs > 0)).toBe(false);
  });

  it('does not call small differences outliers', () => {
    const replicas = ['n2', 'n3'].map(id => newReplica(server(id), 0, 'warm'));
    recordFinish(replicas[0] as ReplicaState, 0.2, 0);
    recordFinish(replicas[1] as ReplicaState, 20, 0);
    ejectOutliers(replicas, 0, BALANCE);
    expect(replicas.some(replica => replica.ejectedUntilMs > 0)).toBe(false);
  });
});

describe('lag', () => {
  const policy = { ...DEFAULT_READ_POLICY, balance: { ...BALANCE, maxLagMs: 1000, maxLagBytes: 1_000_000 } };

  it('excludes a replica at the limit and takes it back, slowly, at half of it', () => {
    const replica = replicaAt('n2', 1n, 0);
    const after = (lagMs: number, nowMs: number): boolean => {
      report(replica, 1n, nowMs, policy, { lagMs });
      return replica.lagging;
    };
    expect([after(1000, 1), after(1001, 2), after(900, 3), after(501, 4), after(500, 5), after(900, 6)]).toEqual([
      false,
      true,
      true,
      true,
      false,
      false,
    ]);
    expect(replica.admittedAtMs).toBe(5);
  });

  it('is measured in bytes too', () => {
    const replica = replicaAt('n2', 1n, 0);
    report(replica, 1n, 1, policy, { primaryLsn: 1_000_002n });
    expect(replica.lagging).toBe(true);
    expect(replica.lagBytes).toBe(1_000_001);
    report(replica, 5n, 2, policy, { primaryLsn: 3n });
    expect(replica.lagging).toBe(false);
    expect(replica.lagBytes).toBe(0);
  });

  it('of a replica whose replay was paused ends with a slow start', () => {
    const replica = replicaAt('n2', 1n, 0);
    report(replica, 1n, 10, policy, { paused: true });
    report(replica, 1n, 20, policy);
    expect(replica.admittedAtMs).toBe(20);
  });
});
