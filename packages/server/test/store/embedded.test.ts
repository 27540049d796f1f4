import { setImmediate } from 'node:timers/promises';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeState, UnderstudyError } from '@understudy/core/cluster';
import { describe, expect, test } from 'vitest';
import { EmbeddedStore } from '../../src/store/embedded.ts';
import { storeContract, Witness } from './contract.ts';
import { reportOf, testDirectory, threeMembers } from './fixture.ts';

const newStore = (): { readonly store: EmbeddedStore; readonly path: string } => {
  const path = join(testDirectory(), 'state.json');
  return { store: EmbeddedStore.create(path, threeMembers()), path };
};

const pausedAt = (atMs: number) => ({ ...threeMembers(), paused: { atMs } });

describe('the embedded store', () => {
  storeContract(() => newStore().store);

  test('takes no two changes of one revision in the same turn', async () => {
    const { store, path } = newStore();
    const [first, second] = [store.change(1, pausedAt(1)), store.change(1, pausedAt(2))];
    expect((await first).kind).toBe('done');
    expect(await second).toEqual({ kind: 'conflict', now: { revision: 2, state: pausedAt(1) } });
    expect(EmbeddedStore.open(path).current).toEqual({ revision: 2, state: pausedAt(1) });
  });

  test('tells nobody an older state after a newer one when a listener itself changes it', async () => {
    const { store } = newStore();
    const [before, after] = [new Witness(), new Witness()];
    store.watch(before);
    store.watch({
      state: now => {
        if (now.revision === 2) void store.change(2, pausedAt(2));
      },
      report: () => undefined,
    });
    store.watch(after);
    await store.change(1, pausedAt(1));
    expect(before.revisions).toEqual([1, 2, 3]);
    expect(after.revisions).toEqual([1, 3]);
  });

  test('tells nobody what a member that is gone had said', async () => {
    const { store } = newStore();
    await store.report(reportOf('n3'));
    const { n3: _gone, ...members } = threeMembers().members;
    await store.change(1, { ...threeMembers(), members });
    const witness = new Witness();
    store.watch(witness);
    expect(witness.reports).toEqual([]);
  });
});

describe('the state file', () => {
  test('has it all after a change was answered, for nobody else to read', async () => {
    const { store, path } = newStore();
    await store.change(1, pausedAt(1));
    expect(EmbeddedStore.open(path).current).toEqual({ revision: 2, state: pausedAt(1) });
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test('keeps the one before beside it', async () => {
    const { store, path } = newStore();
    await store.change(1, pausedAt(1));
    await store.change(2, pausedAt(2));
    await setImmediate();
    expect(EmbeddedStore.open(`${path}.previous`).current).toEqual({ revision: 2, state: pausedAt(1) });
    expect(readdirSync(join(path, '..')).sort()).toEqual(['state.json', 'state.json.previous']);
  });

  test('is not made over one that is there', () => {
    const { path } = newStore();
    const before = readFileSync(path, 'utf8');
    expect(() => EmbeddedStore.create(path, pausedAt(1))).toThrow(UnderstudyError);
    expect(readFileSync(path, 'utf8')).toBe(before);
  });

  test('that cannot be written refuses the change, and goes on from where it was', async () => {
    const directory = join(testDirectory(), 'inner');
    mkdirSync(directory);
    const path = join(directory, 'state.json');
    const store = EmbeddedStore.create(path, threeMembers());
    await store.change(1, pausedAt(1));
    const witness = new Witness();
    store.watch(witness);
    rmSync(directory, { recursive: true });
    await expect(store.change(2, pausedAt(2))).rejects.toThrow('ENOENT');
    expect(await store.read()).toEqual({ revision: 2, state: pausedAt(1) });
    expect(witness.revisions).toEqual([2]);
    mkdirSync(directory);
    expect((await store.change(2, pausedAt(3))).kind).toBe('done');
    expect(EmbeddedStore.open(path).current).toEqual({ revision: 3, state: pausedAt(3) });
  });

  test('that was taken away is written anew: what the supervisor holds counts', async () => {
    const { store, path } = newStore();
    rmSync(path);
    expect((await store.change(1, pausedAt(1))).kind).toBe('done');
    expect(EmbeddedStore.open(path).current.revision).toBe(2);
  });

  test('is changed even where the one before cannot be kept', async () => {
    const { store, path } = newStore();
    mkdirSync(join(`${path}.previous`, 'in-the-way'), { recursive: true });
    expect((await store.change(1, pausedAt(1))).kind).toBe('done');
    await setImmediate();
    expect(readdirSync(join(path, '..')).sort()).toEqual(['state.json', 'state.json.previous']);
  });

  test('is not written through a symbolic link that somebody laid beside it', async () => {
    const { store, path } = newStore();
    const target = join(path, '..', 'precious');
    writeFileSync(target, 'precious');
    symlinkSync(target, `${path}.new`);
    await store.change(1, pausedAt(1));
    expect(readFileSync(target, 'utf8')).toBe('precious');
    expect(existsSync(`${path}.new`)).toBe(false);
  });

  const good = encodeState({ revision: 3, state: pausedAt(1) });
  const thrownBy = (content: string | Buffer | null): UnderstudyError => {
    const path = join(testDirectory(), 'state.json');
    if (content !== null) writeFileSync(path, content);
    try {
      EmbeddedStore.open(path);
    } catch (error) {
      if (content !== null) expect(readFileSync(path)).toEqual(Buffer.from(content));
      return error as UnderstudyError;
    }
    throw new Error('it was opened');
  };

  test('that is well formed is opened', () => {
    const path = join(testDirectory(), 'state.json');
    writeFileSync(path, good);
    expect(EmbeddedStore.open(path).current).toEqual({ revision: 3, state: pausedAt(1) });
  });

  test.each<[string, string | Buffer | null]>([
    ['missing', null],
    ['empty', ''],
    ['cut off', good.slice(0, good.length / 2)],
    ['no JSON', 'hello'],
    ['null', 'null'],
    ['a list', '[]'],
    ['binary', Buffer.from([0, 255, 1, 254])],
    ['zeros', Buffer.alloc(4096)],
    ['without a revision', encodeState({ state: pausedAt(1) })],
    ['of revision 0', encodeState({ revision: 0, state: pausedAt(1) })],
    ['of half a revision', encodeState({ revision: 1.5, state: pausedAt(1) })],
    ['without a state', encodeState({ revision: 1 })],
    ['with a position that is none', encodeState({ revision: 1, state: pausedAt(1) }).replace('"main"', '"lsn:zz"')],
  ])('that is %s is refused with what is wrong, and left alone', (_what, content) => {
    const error = thrownBy(content);
    expect(error).toBeInstanceOf(UnderstudyError);
    expect(error.code).toBe('state-corrupt');
    expect(error.message).not.toContain('{');
  });

  test('of a newer program says so', () => {
    expect(thrownBy(encodeState({ revision: 1, state: { ...pausedAt(1), schema: 2 } })).code).toBe('state-newer');
  });

  test('of a later release, whose keys this one does not know, is read and keeps them', () => {
    const later = { ...pausedAt(1), extra: 1 };
    const path = join(testDirectory(), 'state.json');
    writeFileSync(path, encodeState({ revision: 1, state: later }));
    expect(EmbeddedStore.open(path).current.state).toEqual(later);
  });

  test('names the place that is wrong', () => {
    expect(thrownBy(encodeState({ revision: 1, state: { ...pausedAt(1), name: 7 } })).message).toContain('name:');
  });
});
