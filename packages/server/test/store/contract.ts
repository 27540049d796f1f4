import type { ClusterState, MemberReport, Store, VersionedState } from '@understudy/core/cluster';
import { expect, test } from 'vitest';
import { reportOf, until } from './fixture.ts';

/** Somebody who writes down what a store tells. */
export class Witness {
  readonly states: VersionedState[] = [];
  readonly reports: MemberReport[] = [];

  state(now: VersionedState): void {
    this.states.push(now);
  }

  report(report: MemberReport): void {
    this.reports.push(report);
  }

  get revisions(): readonly number[] {
    return this.states.map(({ revision }) => revision);
  }
}

const paused = (state: ClusterState, atMs: number): ClusterState => ({ ...state, paused: { atMs } });

/** What every store must do, whichever way it is reached. `makeStore` gives a new one that holds three members and no rule. */
export function storeContract(makeStore: () => Promise<Store> | Store): void {
  test('a change is read back, with a higher revision', async () => {
    const store = await makeStore();
    const { revision, state } = await store.read();
    const next = paused(state, 7);
    const result = await store.change(revision, next);
    expect(result).toEqual({ kind: 'done', now: { revision: expect.any(Number) as number, state: next } });
    expect(result.now.revision).toBeGreaterThan(revision);
    expect(await store.read()).toEqual(result.now);
  });

  test('what a later release has added is kept by whoever changes something else', async () => {
    const store = await makeStore();
    const { revision, state } = await store.read();
    const { n1, ...others } = state.members;
    const later = { ...state, quota: { bytes: 5 }, members: { ...others, n1: { ...n1!, colour: 'blue' } } };
    const { now } = await store.change(revision, later);
    await store.change(now.revision, paused((await store.read()).state, 7));
    expect((await store.read()).state).toEqual(paused(later, 7));
  });

  test('a change of an older revision is refused and shows the present one', async () => {
    const store = await makeStore();
    const { revision, state } = await store.read();
    const { now } = await store.change(revision, paused(state, 7));
    expect(await store.change(revision, paused(state, 8))).toEqual({ kind: 'conflict', now });
    expect(await store.change(now.revision + 1, paused(state, 8))).toEqual({ kind: 'conflict', now });
    expect(await store.read()).toEqual(now);
  });

  test('of many changes at once exactly one wins, and the others see it', async () => {
    const store = await makeStore();
    const { revision, state } = await store.read();
    const results = await Promise.all([1, 2, 3, 4, 5].map(atMs => store.change(revision, paused(state, atMs))));
    const won = results.filter(({ kind }) => kind === 'done');
    expect(won).toHaveLength(1);
    expect(new Set(results.map(({ now }) => JSON.stringify(now))).size).toBe(1);
    expect(await store.read()).toEqual(won[0]!.now);
  });

  test('counting up from many hands loses nothing', async () => {
    const store = await makeStore();
    const countUp = async (): Promise<void> => {
      for (;;) {
        const { revision, state } = await store.read();
        const result = await store.change(revision, paused(state, (state.paused?.atMs ?? 0) + 1));
        if (result.kind === 'done') return;
      }
    };
    await Promise.all(Array.from({ length: 8 }, countUp));
    expect((await store.read()).state.paused).toEqual({ atMs: 8 });
  });

  test('who watches hears the present state and every later one in order', async () => {
    const store = await makeStore();
    const witness = new Witness();
    store.watch(witness);
    const { revision: first, state } = await store.read();
    let last = first;
    for (let i = 0; i < 5; i++) last = (await store.change(last, paused(state, i))).now.revision;
    await until(() => witness.states.at(-1)?.revision === last, 'the last state');
    expect(witness.revisions).toEqual(witness.revisions.toSorted((a, b) => a - b));
    expect(witness.states[0]?.revision).toBe(first);
    expect(witness.states.at(-1)?.state.paused).toEqual({ atMs: 4 });
  });

  test('who watches hears reports, positions included, and who comes later hears the newest', async () => {
    const store = await makeStore();
    const early = new Witness();
    store.watch(early);
    await store.report(reportOf('n1'));
    await store.report(reportOf('n1', { sequence: 2 }));
    await until(() => early.reports.at(-1)?.sequence === 2, 'the second report');
    expect(early.reports.at(-1)).toEqual(reportOf('n1', { sequence: 2 }));
    const late = new Witness();
    store.watch(late);
    await until(() => late.reports.length > 0, 'a report for who came late');
    expect(late.reports).toEqual([reportOf('n1', { sequence: 2 })]);
    expect(late.states).toHaveLength(1);
  });

  test('who stops watching hears no more, while others do', async () => {
    const store = await makeStore();
    const [gone, stays] = [new Witness(), new Witness()];
    const stop = store.watch(gone);
    store.watch(stays);
    const { revision, state } = await store.read();
    stop();
    const heard = gone.states.length;
    const { now } = await store.change(revision, paused(state, 1));
    await store.report(reportOf('n1'));
    await until(() => stays.reports.length === 1 && stays.states.at(-1)?.revision === now.revision, 'news for who stays');
    expect(gone.states).toHaveLength(heard);
    expect(gone.reports).toHaveLength(0);
  });

  test('a listener that throws keeps nobody else from hearing, and no change from being answered', async () => {
    const store = await makeStore();
    let thrown = 0;
    let armed = false;
    const fail = (): void => {
      if (!armed) return;
      thrown += 1;
      throw new Error('a listener of this test fails');
    };
    const witness = new Witness();
    store.watch({ state: fail, report: fail });
    store.watch(witness);
    const { revision, state } = await store.read();
    armed = true;
    const { kind, now } = await store.change(revision, paused(state, 1));
    expect(kind).toBe('done');
    await store.report(reportOf('n1'));
    await until(() => witness.reports.length === 1 && witness.states.at(-1)?.revision === now.revision, 'news for the other');
    expect(thrown).toBeGreaterThanOrEqual(2);
  });

  test('after close nothing is heard and nothing is changed', async () => {
    const store = await makeStore();
    const witness = new Witness();
    store.watch(witness);
    const { revision, state } = await store.read();
    const heard = witness.states.length;
    await store.close();
    await expect(store.change(revision, paused(state, 1))).rejects.toThrow('closed');
    await expect(store.report(reportOf('n1'))).rejects.toThrow('closed');
    expect(witness.states).toHaveLength(heard);
  });
}
