import type { Store } from '@understudy/core/cluster';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { EtcdStore, type EtcdStoreOptions } from '../../src/store/etcd/store.ts';
import { storeContract, Witness } from '../store/contract.ts';
import { reportOf, threeMembers, until } from '../store/fixture.ts';
import { EtcdCluster } from './etcd-fixture.ts';

let etcd: EtcdCluster;
let clusters = 0;

beforeAll(async () => {
  etcd = await EtcdCluster.start(3);
});
afterAll(() => etcd.stop());

function options(change: Partial<EtcdStoreOptions> = {}): EtcdStoreOptions {
  return { endpoints: etcd.endpoints, prefix: `/understudy/c${clusters}/`, tls: null, login: null, attemptMs: 1000, ...change };
}

async function open(change: Partial<EtcdStoreOptions> = {}): Promise<EtcdStore> {
  const store = await EtcdStore.open(options(change), threeMembers);
  onTestFinished(() => store.close());
  return store;
}

/** A cluster of its own for one test. */
function anew(): void {
  clusters += 1;
}

describe('the store in etcd', () => {
  storeContract((): Promise<Store> => {
    anew();
    return open();
  });

  test('a state that an older release must not touch is refused by who starts, and left alone by who runs', async () => {
    anew();
    const store = await open();
    const { revision, state } = store.current;
    const key = Buffer.from(`${options().prefix}state`).toString('base64');
    const value = { stamp: { by: 'later', n: 1 }, content: { change: 'c', state: { ...state, schema: 2 } } };
    await etcd.ask(0, 'kv/put', { key, value: Buffer.from(JSON.stringify(value)).toString('base64') });
    await expect(open()).rejects.toMatchObject({ code: 'state-newer' });
    // Its own word is heard after the newer state, and the watch goes on.
    await store.report(reportOf('n1'));
    expect(store.current).toEqual({ revision, state });
    await expect(store.change(revision, state)).rejects.toMatchObject({ code: 'state-newer' });
  });

  test('of several who begin at once, all find the state of one', async () => {
    anew();
    const stores = await Promise.all([1, 2, 3, 4].map(() => open()));
    expect(new Set(stores.map(({ current }) => current.revision)).size).toBe(1);
  });

  test('several see each other, and only one change of a revision is made', async () => {
    anew();
    const [a, b] = [await open(), await open()];
    const witness = new Witness();
    b.watch(witness);
    await a.report(reportOf('n1'));
    const { revision, state } = a.current;
    const results = await Promise.all([a, b].map((store, i) => store.change(revision, { ...state, paused: { atMs: i } })));
    expect(results.map(({ kind }) => kind).toSorted()).toEqual(['conflict', 'done']);
    await until(() => witness.reports.length === 1 && witness.states.at(-1)?.revision === results[0]!.now.revision, 'news from the other');
  });

  test('a report is answered when all that was said before it has been heard', async () => {
    anew();
    const [a, b] = [await open(), await open()];
    const witness = new Witness();
    b.watch(witness);
    for (let sequence = 1; sequence <= 20; sequence++) {
      await a.report(reportOf('n1', { sequence }));
      await b.report(reportOf('n2', { sequence }));
      expect(witness.reports.findLast(({ id }) => id === 'n1')?.sequence).toBe(sequence);
    }
  });

  test('notices are heard by all, by who comes later too, and go with their process; news is heard once', async () => {
    anew();
    const [a, b] = [await open(), await open()];
    const heard: unknown[] = [];
    b.watchNotices(({ topic, from, content }) => heard.push([topic, from, content]));
    await a.notify('routers', 'p1', { clients: 1 });
    for (let i = 0; i < 50; i++) a.tell('n1', i);
    await until(() => heard.length === 51, 'all that was told');
    expect(heard).toEqual([['routers', 'p1', { clients: 1 }], ...Array.from({ length: 50 }, (_, i) => ['news', 'n1', i])]);
    const late: unknown[] = [];
    (await open()).watchNotices(({ topic, from, content }) => late.push([topic, from, content]));
    expect(late).toEqual([['routers', 'p1', { clients: 1 }]]);
    await a.close();
    await until(() => heard.length === 52, 'the end of the process');
    expect(heard.at(-1)).toEqual(['routers', 'p1', null]);
  });

  test('a watch goes on where it was after its node is gone', async () => {
    anew();
    const [a, b] = [await open({ endpoints: [etcd.endpoints[1]!] }), await open()];
    const witness = new Witness();
    b.watch(witness);
    await etcd.signal(0, 'SIGKILL');
    let { revision, state } = a.current;
    for (let atMs = 1; atMs <= 3; atMs++) {
      const { now } = await changeAnew(a, { ...state, paused: { atMs } });
      ({ revision, state } = now);
    }
    await until(() => witness.states.at(-1)?.revision === revision, 'the changes made meanwhile');
    etcd.startNode(0);
    await etcd.whenHealthy();
  });

  test('what was compacted away meanwhile is read anew', async () => {
    anew();
    const a = await open({ endpoints: [etcd.endpoints[1]!] });
    const b = await open({ endpoints: [etcd.endpoints[0]!] });
    const witness = new Witness();
    b.watch(witness);
    await etcd.signal(0, 'SIGKILL');
    const { now } = await changeAnew(a, { ...a.current.state, paused: { atMs: 1 } });
    await a.report(reportOf('n3'));
    const { header } = (await etcd.ask(1, 'kv/range', { key: 'AA==' })) as { header: { revision: string } };
    await etcd.ask(1, 'kv/compaction', { revision: header.revision, physical: true });
    etcd.startNode(0);
    await etcd.whenHealthy();
    await until(() => witness.states.at(-1)?.revision === now.revision && witness.reports.length > 0, 'the state after the gap');
  });

  test('a node that hangs is asked last from then on, and its watch is replaced', async () => {
    anew();
    const store = await open({ attemptMs: 500 });
    await etcd.signal(0, 'SIGSTOP');
    onTestFinished(() => etcd.signal(0, 'SIGCONT'));
    await store.report(reportOf('n1')).catch(() => undefined);
    let answered = 0;
    for (let sequence = 2; answered < 5; sequence++) {
      await store.report(reportOf('n1', { sequence })).then(
        () => (answered += 1),
        () => (answered = 0),
      );
      if (sequence > 40) throw new Error('reports were not answered by the other nodes');
    }
    await etcd.signal(0, 'SIGCONT');
    await etcd.whenHealthy();
  });

  test('without a majority nothing is answered as done, and all goes on afterwards', async () => {
    anew();
    const store = await open({ attemptMs: 500 });
    const { revision, state } = store.current;
    await etcd.signal(1, 'SIGKILL');
    await etcd.signal(2, 'SIGKILL');
    await expect(store.change(revision, { ...state, paused: { atMs: 1 } })).rejects.toThrow();
    await expect(store.read()).rejects.toThrow();
    etcd.startNode(1);
    etcd.startNode(2);
    await etcd.whenHealthy();
    const { now } = await changeAnew(store, { ...state, paused: { atMs: 2 } });
    expect(now.state.paused).toEqual({ atMs: 2 });
    await store.report(reportOf('n1'));
  });

  test('users of etcd: the password is needed, and a token that is not known any more is renewed', async () => {
    anew();
    for (const [path, body] of [
      ['auth/user/add', { name: 'root', password: 'secret' }],
      ['auth/role/add', { name: 'root' }],
      ['auth/user/grant', { user: 'root', role: 'root' }],
      ['auth/enable', {}],
    ] as const)
      await etcd.ask(0, path, body);
    const login = { user: 'root', password: 'secret' };
    try {
      const store = await open({ login });
      await store.report(reportOf('n1'));
      await expect(open()).rejects.toThrow();
      await expect(open({ login: { user: 'root', password: 'wrong' } })).rejects.toThrow(/authentication failed/);
      // Tokens live in a node's memory only.
      for (const i of [0, 1, 2]) {
        await etcd.signal(i, 'SIGKILL');
        etcd.startNode(i);
        await etcd.whenHealthy();
      }
      const { now } = await changeAnew(store, { ...store.current.state, paused: { atMs: 3 } });
      expect(now.state.paused).toEqual({ atMs: 3 });
    } finally {
      const { token } = (await etcd.ask(0, 'auth/authenticate', { name: login.user, password: login.password })) as { token: string };
      await fetch(`${etcd.endpoints[0]}/v3/auth/disable`, { method: 'POST', body: '{}', headers: { authorization: token } });
    }
  });
});

/** As agents do: what has no answer, or lost against somebody, is tried again. */
async function changeAnew(store: EtcdStore, next: EtcdStore['current']['state']): ReturnType<EtcdStore['change']> {
  for (let attempt = 1; ; attempt++) {
    try {
      const { revision } = await store.read();
      const result = await store.change(revision, next);
      if (result.kind === 'done') return result;
    } catch (error) {
      if (attempt > 50) throw error;
      await new Promise(resolve => setTimeout(resolve, 100));
    }
  }
}
