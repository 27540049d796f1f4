import type { StatementSample } from '@understudy/core/routing';
import type { ClusterFacade } from './facade.ts';

/** Samples that a slow reader may be behind; older ones are dropped: it is shown what is new. */
const BACKLOG_LIMIT = 20;

/**
 * What the router routes, as server-sent events, for as long as somebody reads. Only while there is such a reader does the router make them.
 */
export function statementStream(facade: ClusterFacade, keepAliveMs: number): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  const backlog: StatementSample[] = [];
  let unwatch = (): void => {};
  let wake = (): void => {};
  let closed = false;
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        unwatch = facade.watchStatements(sample => {
          backlog.push(sample);
          if (backlog.length > BACKLOG_LIMIT) backlog.shift();
          wake();
        });
        controller.enqueue(encoder.encode('retry: 1000\n\n'));
      },
      async pull(controller) {
        if (backlog.length === 0) await news(keepAliveMs, wakeUp => (wake = wakeUp));
        if (closed) return;
        const chunk = backlog.splice(0).map(sample => `data: ${JSON.stringify(sample)}\n\n`);
        controller.enqueue(encoder.encode(chunk.length > 0 ? chunk.join('') : ': keep-alive\n\n'));
      },
      cancel() {
        closed = true;
        unwatch();
        wake();
      },
    },
    { highWaterMark: 1 },
  );
}

/** Resolves when it is woken, or after so much silence. */
function news(limitMs: number, setWake: (wake: () => void) => void): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, limitMs);
    timer.unref();
    setWake(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
