import { describe, expect, it } from 'vitest';
import { columnsOf, SAMPLE_WINDOW_MS, SAMPLES_MAX, type Sample, withPast, withSample } from '../src/model/samples.ts';
import { memberOf, statusOf } from './fixtures.ts';

function routed(reads: Record<string, number>, writes: number, pid = 7) {
  return statusOf({ router: { clients: 1, reads, writes, held: 0, pid } });
}

function taken(...polls: readonly (readonly [atMs: number, status: ReturnType<typeof statusOf>])[]): readonly Sample[] {
  return polls.reduce<readonly Sample[]>((samples, [atMs, status]) => withSample(samples, status, atMs), []);
}

describe('rates', () => {
  it('are differences of the counters over the time between two polls', () => {
    const samples = taken([1000, routed({ n2: 100, n3: 50 }, 10)], [3000, routed({ n2: 300, n3: 90 }, 14)]);
    expect(samples.at(-1)?.rates).toEqual({ writes: 2, reads: { n2: 100, n3: 20 }, readsTotal: 120, onReplicas: 1 });
  });

  it('tell the share of the replicas, as long as the primary stays the same', () => {
    const before = routed({ n1: 0, n2: 0 }, 0);
    const after = routed({ n1: 2, n2: 198 }, 0);
    expect(taken([0, before], [2000, after]).at(-1)?.rates?.onReplicas).toBeCloseTo(0.99);
    expect(taken([0, before], [2000, { ...after, primary: 'n2' }]).at(-1)?.rates?.onReplicas).toBeNull();
    expect(taken([0, before], [2000, before]).at(-1)?.rates?.onReplicas).toBeNull();
  });

  it('are not known from one poll, nor from polls too close to each other', () => {
    const samples = taken([1000, routed({ n2: 0 }, 0)], [1040, routed({ n2: 50 }, 0)]);
    expect(samples.map(sample => sample.rates)).toEqual([null, null]);
  });

  it('do not change when an event makes the page ask twice in a row', () => {
    const steady = (atMs: number) => [atMs, routed({ n2: atMs }, atMs / 100)] as const;
    const samples = taken(steady(0), steady(1000), steady(2000), steady(2040), steady(3000));
    expect(samples.slice(2).map(sample => sample.rates?.readsTotal)).toEqual([1000, 1000, 1000]);
  });

  it('count the reads of a member that the router did not know before', () => {
    const samples = taken([0, routed({ n2: 10 }, 0)], [2000, routed({ n2: 10, n4: 60 }, 0)]);
    expect(samples.at(-1)?.rates?.reads).toEqual({ n2: 0, n4: 30 });
  });

  it('begin anew with a router that was restarted', () => {
    const restarted = taken([0, routed({ n2: 500 }, 90)], [2000, routed({ n2: 3 }, 1, 8)]);
    const reset = taken([0, routed({ n2: 500 }, 90)], [2000, routed({ n2: 3 }, 1)]);
    expect([restarted.at(-1)?.rates, reset.at(-1)?.rates]).toEqual([null, null]);
  });

  it('say nothing about a long time without an answer', () => {
    expect(taken([0, routed({}, 0)], [60_000, routed({}, 600)]).at(-1)?.rates).toBeNull();
  });
});

describe('samples', () => {
  it('keep the lag of replicas only', () => {
    const members = [memberOf('n1', { role: 'primary' }), memberOf('n2', { lagBytes: 5, lagMs: 7 }), memberOf('n3', { role: 'none' })];
    expect(taken([0, statusOf({ members })])[0]?.lag).toEqual({ n2: { bytes: 5, ms: 7 } });
  });

  it('are forgotten after the window, and are never more than the limit', () => {
    const old = taken([0, statusOf()], [SAMPLE_WINDOW_MS + 1, statusOf()]);
    expect(old.map(sample => sample.atMs)).toEqual([SAMPLE_WINDOW_MS + 1]);
    const many = taken(...Array.from({ length: SAMPLES_MAX + 50 }, (_, i) => [i, statusOf()] as const));
    expect(many).toHaveLength(SAMPLES_MAX);
  });

  it('stay in order when the clock is set back', () => {
    const samples = taken([5000, statusOf()], [9000, statusOf()], [6000, statusOf()]);
    expect(samples.map(sample => sample.atMs)).toEqual([5000, 6000]);
  });

  it('become columns with x in seconds', () => {
    const samples = taken([1000, statusOf()], [2000, statusOf()]);
    expect(columnsOf(samples, ['n2', 'n9'], (sample, id) => sample.lag[id]?.bytes ?? null)).toEqual([
      [1, 2],
      [0, 0],
      [null, null],
    ]);
  });
});

describe('what was before the page was opened', () => {
  const past = (atMs: number, writes: number) => ({
    atMs,
    primary: 'n1',
    routerPid: 7,
    writes,
    reads: {},
    lag: { n2: { bytes: 8, ms: 1 } },
  });

  it('goes in front, with its rates, and not again what the page has seen itself', () => {
    const own = taken([4000, routed({}, 40)]);
    const all = withPast(own, [past(1000, 10), past(3000, 30), past(4000, 40), past(5000, 50)]);
    expect(all.map(({ atMs, rates }) => [atMs, rates?.writes ?? null])).toEqual([
      [1000, null],
      [3000, 10],
      [4000, null],
    ]);
  });
});
