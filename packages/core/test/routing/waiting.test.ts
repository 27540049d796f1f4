import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WaitingList } from '../../src/routing/index.ts';

const waiter = (key: bigint, value: string, deadlineMs = 100) => ({ key, deadlineMs, value });

describe('WaitingList', () => {
  it('releases those whose position is reached, the least first, equals in the order they came', () => {
    const list = new WaitingList<bigint, string>(10);
    for (const one of [waiter(30n, 'c'), waiter(10n, 'a'), waiter(20n, 'b1'), waiter(20n, 'b2')]) expect(list.add(one)).toBe(true);
    expect(list.first).toBe(10n);
    expect(list.advance(9n)).toEqual([]);
    expect(list.advance(20n).map(one => one.value)).toEqual(['a', 'b1', 'b2']);
    expect(list.size).toBe(1);
    expect(list.drain().map(one => one.value)).toEqual(['c']);
    expect(list.first).toBeNull();
  });

  it('has a limit', () => {
    const list = new WaitingList<bigint, string>(1);
    expect(list.add(waiter(1n, 'a'))).toBe(true);
    expect(list.add(waiter(2n, 'b'))).toBe(false);
    expect(list.size).toBe(1);
  });

  it('gives up those whose time has come, and those who left', () => {
    const list = new WaitingList<bigint, string>(10);
    list.add(waiter(1n, 'a', 50));
    list.add(waiter(2n, 'b', 20));
    list.add(waiter(3n, 'c', 90));
    expect(list.nextDeadlineMs()).toBe(20);
    expect(list.expire(50).map(one => one.value)).toEqual(['a', 'b']);
    expect(list.remove('c')).toBe(true);
    expect(list.remove('c')).toBe(false);
    expect(list.nextDeadlineMs()).toBeNull();
  });

  it('agrees with a sorted list under any sequence of steps', () => {
    const step = fc.record({ key: fc.bigInt({ min: 0n, max: 20n }), act: fc.constantFrom('add', 'add', 'advance') });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), steps => {
        const list = new WaitingList<bigint, number>(100);
        let model: { key: bigint; value: number }[] = [];
        for (const [index, { key, act }] of steps.entries()) {
          if (act === 'add') {
            list.add({ key, deadlineMs: 0, value: index });
            model = [...model, { key, value: index }].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : a.value - b.value));
          } else {
            const due = model.filter(one => one.key <= key).map(one => one.value);
            expect(list.advance(key).map(one => one.value)).toEqual(due);
            model = model.filter(one => one.key > key);
          }
        }
        expect(list.drain().map(one => one.value)).toEqual(model.map(one => one.value));
      }),
      { seed: 11, numRuns: 500 },
    );
  });
});
