import { setTimeout as delay } from 'node:timers/promises';

/** Milliseconds on the monotonic clock. */
export function monotonicMs(): number {
  return performance.now();
}

/**
 * Polls until `probe` gives something other than null, every `intervalMs`, and gives that; null once `deadlineMs` have passed.
 * The probe runs at least once. An abort ends the wait with the signal's reason.
 */
export async function pollUntil<T>(
  probe: () => Promise<T | null>,
  options: { readonly intervalMs: number; readonly deadlineMs: number; readonly signal?: AbortSignal },
): Promise<T | null> {
  const end = monotonicMs() + options.deadlineMs;
  for (;;) {
    options.signal?.throwIfAborted();
    const found = await probe();
    if (found !== null) return found;
    if (monotonicMs() + options.intervalMs > end) return null;
    await delay(options.intervalMs, undefined, options.signal ? { signal: options.signal } : {});
  }
}
