import type { ClusterState, MemberReport, Store, StoreListener } from '@understudy/core/cluster';
import { DEFAULT_FAILOVER } from '@understudy/core/cluster';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { provesTerm } from '../../src/proxy/leadership-proof.ts';
import { StoreTopology } from '../../src/proxy/store-topology.ts';
import { reportOf, threeMembers } from '../store/fixture.ts';

const TTL_MS = 1000;

const leading: ClusterState = {
  ...threeMembers(),
  systemId: '42',
  rule: { term: 7, primary: 'n1', cohort: ['n2', 'n3'], acks: 1, timeline: 1, established: true, before: [] },
};
const primary: MemberReport = reportOf('n1', {
  openTerm: 7,
  server: {
    kind: 'primary',
    timeline: 1,
    history: [],
    insertLsn: 1n,
    flushLsn: 1n,
    senders: [],
    synchronousNames: 'ANY 1 (n2_t7, n3_t7)',
    synchronousNamesInForce: true,
  },
});

/** A store that says what it is told to say. */
class ToldStore implements Pick<Store, 'watch'> {
  listener: StoreListener | null = null;
  watch(listener: StoreListener): () => void {
    this.listener = listener;
    return () => undefined;
  }
}

function routerWith(prove: () => Promise<boolean>): StoreTopology {
  const store = new ToldStore();
  const topology = new StoreTopology(store as unknown as Store, DEFAULT_FAILOVER, () => performance.now(), {
    membersDirectory: null,
    confirmation: { ttlMs: TTL_MS, prove },
  });
  store.listener!.state({ revision: 1, state: leading });
  store.listener!.report(primary);
  return topology;
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('the view of a router', () => {
  test('is stale, with the primary held, when nobody has confirmed it for its time to live; one confirmation makes it good', async () => {
    const topology = routerWith(() => Promise.resolve(false));
    await vi.advanceTimersByTimeAsync(TTL_MS - 1);
    expect(topology.current()).toMatchObject({ primary: { kind: 'open' } });
    expect(topology.current().isStale).toBeUndefined();
    await vi.advanceTimersByTimeAsync(TTL_MS / 5);
    expect(topology.current()).toMatchObject({ isStale: true, primary: { kind: 'unconfirmed', server: { id: 'n1' } } });
    topology.confirm(performance.now());
    expect(topology.current()).toMatchObject({ primary: { kind: 'open' } });
    expect(topology.current().isStale).toBeUndefined();
    topology.stop();
  });

  test('is good for as long as the store confirms it, and the primary is not asked', async () => {
    const prove = vi.fn(() => Promise.resolve(false));
    const topology = routerWith(prove);
    for (let i = 0; i < 40; i++) {
      await vi.advanceTimersByTimeAsync(TTL_MS / 5);
      topology.confirm(performance.now() - TTL_MS / 10);
    }
    expect(topology.current().isStale).toBeUndefined();
    expect(prove).not.toHaveBeenCalled();
    topology.stop();
  });

  test('is good without the store while the primary proves that it leads', async () => {
    const topology = routerWith(() => Promise.resolve(true));
    await vi.advanceTimersByTimeAsync(TTL_MS * 20);
    expect(topology.current()).toMatchObject({ primary: { kind: 'open' } });
    topology.stop();
  });

  test('goes by the moment of the question, not of the answer', async () => {
    const topology = routerWith(() => new Promise(resolve => setTimeout(() => resolve(true), TTL_MS * 3)));
    await vi.advanceTimersByTimeAsync(TTL_MS * 3.5);
    expect(topology.current().isStale).toBe(true);
    topology.stop();
  });
});

test.each([
  ['ANY 1 (n2_t7, n3_t7)', true],
  ['ANY 1 (n2_t6, n3_t6)', false],
  ['ANY 1 (n2_t7, n3_t6)', false],
  ['ANY 1 (n2_t17)', false],
  ['ANY 1 (understudy_nobody)', false],
  ['', false],
  ['*', false],
])('a commit under the names %j proves term 7: %s', (names, proves) => {
  expect(provesTerm(names, 7)).toBe(proves);
});
