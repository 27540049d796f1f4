import { expect, test } from 'vitest';
import { FreshWaits } from '../../src/proxy/fresh-waits.ts';

const LONG_MS = 60_000;

/** Keys of those who were woken, in order. */
function watched(): { readonly woken: string[]; readonly watch: (name: string, over: Promise<void>) => void } {
  const woken: string[] = [];
  return { woken, watch: (name, over) => void over.then(() => woken.push(name)) };
}

const settled = (): Promise<void> => new Promise(resolve => setImmediate(resolve));

test('an answer wakes those whom it serves, the least demanding first, and nobody else', async () => {
  const waits = new FreshWaits(10);
  const { woken, watch } = watched();
  for (const lsn of [300n, 100n, 200n]) watch(String(lsn), waits.replay(lsn, LONG_MS));
  watch('question 2', waits.floor(2, LONG_MS));
  expect([waits.wantedLsn, waits.size]).toEqual([100n, 4]);
  waits.onReplay(200n);
  await settled();
  expect(woken).toEqual(['100', '200']);
  waits.onFloor(1);
  await settled();
  expect(woken).toEqual(['100', '200']);
  waits.onFloor(2);
  await settled();
  expect(woken).toEqual(['100', '200', 'question 2']);
  expect(waits.wantedLsn).toBe(300n);
  waits.wakeAll();
  await settled();
  expect([woken.at(-1), waits.size]).toEqual(['300', 0]);
});

test('who waits in vain is woken when the time is up, in the full list too', async () => {
  const waits = new FreshWaits(1);
  await Promise.all([waits.replay(100n, 5), waits.replay(200n, 1), waits.floor(7, 3)]);
  expect([waits.size, waits.wantedLsn]).toEqual([0, null]);
});
