import { afterEach, expect, it, vi } from 'vitest';
import { closeTour, openTour, tour, tourFailure } from '../src/state/tour.ts';

const OFF = { state: 'off', workload: null, chapters: [] };

/** Answers by hand: each call waits until it is told what to say. */
function answersByHand(): ((document: object, status?: number) => Promise<void>)[] {
  const waiting: ((document: object, status?: number) => Promise<void>)[] = [];
  vi.stubGlobal('fetch', () => {
    return new Promise<Response>(resolve => {
      waiting.push(async (document, status = 200) => {
        resolve(Response.json(document, { status }));
        await vi.advanceTimersByTimeAsync(0);
      });
    });
  });
  return waiting;
}

afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
  tour.value = null;
});

it('stays closed when an answer that was under way comes late', async () => {
  vi.useFakeTimers();
  const waiting = answersByHand();
  void openTour();
  await waiting.shift()!(OFF);
  expect(tour.value).toEqual(OFF);
  await vi.advanceTimersByTimeAsync(400);
  expect(waiting).toHaveLength(1);
  await closeTour(null);
  await waiting.shift()!(OFF);
  expect(tour.value).toBeNull();
  await vi.advanceTimersByTimeAsync(2000);
  expect(waiting).toHaveLength(0);
});

it('polls once however often it is opened and closed', async () => {
  vi.useFakeTimers();
  const waiting = answersByHand();
  for (let i = 0; i < 3; i++) {
    void openTour();
    await waiting.shift()!(OFF);
    if (i < 2) await closeTour(null);
  }
  await vi.advanceTimersByTimeAsync(400);
  // Each of the three asks once more; the first two learn then that they are not wanted.
  for (const answer of waiting.splice(0)) await answer(OFF);
  await vi.advanceTimersByTimeAsync(400);
  expect(waiting).toHaveLength(1);
});

it('says once why it could not be ended, and closes then', async () => {
  vi.useFakeTimers();
  const waiting = answersByHand();
  void openTour();
  await waiting.shift()!({ ...OFF, state: 'on' });
  const closing = closeTour('a token');
  await waiting.shift()!({ error: { code: 'intent-refused', message: 'No.', action: 'Wait.' } }, 409);
  await waiting.shift()!(OFF);
  await closing;
  expect([tourFailure.value, tour.value]).toEqual(['No. Wait.', OFF]);
  await closeTour('a token');
  expect(tour.value).toBeNull();
});
