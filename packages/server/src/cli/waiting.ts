/** Resolves after the time, or at once when the signal is aborted; never rejects. */
export function pause(limitMs: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise(resolve => {
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, limitMs);
    signal?.addEventListener('abort', done, { once: true });
  });
}

/** Asks until there is an answer; null after the deadline. */
export async function poll<T>(ask: () => Promise<T | null> | T | null, deadlineMs: number, everyMs: number): Promise<T | null> {
  const until = performance.now() + deadlineMs;
  for (;;) {
    const answer = await ask();
    if (answer !== null || performance.now() > until) return answer;
    await pause(everyMs);
  }
}
