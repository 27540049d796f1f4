import { fork } from 'node:child_process';
import { join } from 'node:path';
import { writeFileSync } from 'node:fs';
import { describe, expect, onTestFinished, test } from 'vitest';
import { EmbeddedStore } from '../../src/store/embedded.ts';
import { channel, type Link, type StoreRequest } from '../../src/store/link.ts';
import { childLink } from '../../src/store/process-link.ts';
import { RemoteStore } from '../../src/store/remote.ts';
import { serveStore } from '../../src/store/serve.ts';
import { storeContract, Witness } from './contract.ts';
import { linkedEnds, reportOf, testDirectory, threeMembers, until } from './fixture.ts';

const embedded = (): EmbeddedStore => EmbeddedStore.create(join(testDirectory(), 'state.json'), threeMembers());

describe('the store at the other end of a link', () => {
  storeContract(() => {
    const [here, there] = linkedEnds();
    serveStore(embedded(), there);
    return new RemoteStore(here);
  });

  test('two of them see each other through the one store', async () => {
    const store = embedded();
    const remotes = [1, 2].map(() => {
      const [here, there] = linkedEnds();
      serveStore(store, there);
      return new RemoteStore(here);
    });
    const witness = new Witness();
    remotes[1]!.watch(witness);
    await remotes[0]!.report(reportOf('n1'));
    await remotes[0]!.change(1, { ...threeMembers(), paused: { atMs: 1 } });
    await until(() => witness.reports.length === 1 && witness.states.at(-1)?.revision === 2, 'news from the other');
    expect((await remotes[1]!.change(1, threeMembers())).kind).toBe('conflict');
  });

  test('what fails there is an error here', async () => {
    const store = embedded();
    const [here, there] = linkedEnds();
    serveStore(store, there);
    const remote = new RemoteStore(here);
    await store.close();
    await expect(remote.change(1, threeMembers())).rejects.toThrow('the store is closed');
    expect((await remote.read()).revision).toBe(1);
  });

  test('what waits for an answer fails when the link closes, and so does all that comes after', async () => {
    const ends = linkedEnds();
    const remote = new RemoteStore(ends[0]);
    const unanswered = [remote.read(), remote.change(1, threeMembers()), remote.report(reportOf('n1'))];
    const settled = Promise.allSettled(unanswered);
    ends.close();
    expect((await settled).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    await expect(remote.read()).rejects.toThrow('closed');
  });

  test('does not let requests without an answer pile up', async () => {
    const sent: unknown[] = [];
    const silent: Link = { send: message => sent.push(message), onMessage: () => undefined, onClose: () => undefined };
    const remote = new RemoteStore(silent);
    const all = Array.from({ length: 300 }, () => remote.report(reportOf('n1')));
    const refused = Promise.allSettled(all.slice(256));
    expect((await refused).every(({ status }) => status === 'rejected')).toBe(true);
    expect(sent).toHaveLength(256);
    const rest = Promise.allSettled(all.slice(0, 256));
    await remote.close();
    await rest;
  });
});

describe('the end that serves', () => {
  test('hears no more of the store when the link is closed', async () => {
    const store = embedded();
    const sent: unknown[] = [];
    let close = (): void => undefined;
    const there: Link = {
      send: (message, onSent) => {
        sent.push(message);
        if (onSent) setImmediate(onSent);
      },
      onMessage: () => undefined,
      onClose: listener => {
        close = listener;
      },
    };
    serveStore(store, there);
    expect(sent).toHaveLength(1);
    close();
    await store.report(reportOf('n1'));
    await new Promise(resolve => setImmediate(resolve));
    expect(sent).toHaveLength(1);
  });

  test('keeps for a process that does not read only what is newest', async () => {
    const script = join(testDirectory(), 'deaf.cjs');
    writeFileSync(script, `process.send('up'); setInterval(() => undefined, 1000);`);
    const child = fork(script, { serialization: 'advanced', stdio: 'ignore', execArgv: [] });
    onTestFinished(() => void child.kill('SIGKILL'));
    await new Promise(resolve => child.once('message', resolve));
    child.kill('SIGSTOP');
    const wire = childLink(child);
    let unsent = 0;
    let most = 0;
    const counted: Link = {
      ...wire,
      send: (message, onSent) => {
        most = Math.max(most, ++unsent);
        wire.send(message, () => {
          unsent -= 1;
          onSent?.();
        });
      },
    };
    const store = embedded();
    serveStore(store, channel(counted, 'store'));
    const alarms = ['x'.repeat(10_000)];
    for (let sequence = 1; sequence <= 2000; sequence++) {
      await store.report(reportOf(`n${1 + (sequence % 3)}`, { sequence, alarms }));
      if (sequence % 50 === 0) await new Promise(resolve => setImmediate(resolve));
    }
    expect(most).toBeLessThanOrEqual(4);
    expect(unsent).toBeGreaterThan(0);
  });

  test('tells the newest when the other end reads again', async () => {
    const sent: { kind: string; report?: { sequence: number } }[] = [];
    const pending: (() => void)[] = [];
    const slow: Link = {
      send: (message, onSent) => {
        sent.push(message as (typeof sent)[number]);
        if (onSent) pending.push(onSent);
      },
      onMessage: () => undefined,
      onClose: () => undefined,
    };
    const store = embedded();
    serveStore(store, slow);
    for (let sequence = 1; sequence <= 10; sequence++) await store.report(reportOf('n1', { sequence }));
    for (let atMs = 1; atMs <= 10; atMs++) await store.change(atMs, { ...threeMembers(), paused: { atMs } });
    expect(sent).toHaveLength(1);
    pending.shift()?.();
    expect(sent.slice(1)).toMatchObject([
      { kind: 'state', now: { revision: 11 } },
      { kind: 'heard', report: { sequence: 10 } },
    ]);
    while (pending.length > 0) pending.shift()?.();
    expect(sent).toHaveLength(3);
  });
});

test('channels of one link do not hear each other', async () => {
  const [here, there] = linkedEnds();
  const heard: unknown[] = [];
  channel(there, 'store').onMessage(message => heard.push(message));
  channel(here, 'control').send({ kind: 'stop' });
  here.send('no envelope at all');
  channel(here, 'store').send({ kind: 'read', id: 1 } satisfies StoreRequest);
  await until(() => heard.length > 0, 'a message');
  expect(heard).toEqual([{ kind: 'read', id: 1 }]);
});
