import type { ClusterEvent } from '@understudy/core/cluster';
import type { ClusterFacade } from './facade.ts';

/** The most events that one answer or one chunk carries. */
export const EVENTS_LIMIT_MAX = 2000;
/** How many events are shown when nobody says how many. */
export const EVENTS_LIMIT_DEFAULT = 100;

export interface EventStreamOptions {
  /** Continue behind this event; null: begin with the newest `limit`. */
  readonly afterId: number | null;
  readonly limit: number;
  /** A comment is sent after so much silence, so that proxies keep the connection. */
  readonly keepAliveMs: number;
}

/**
 * The cluster's events as server-sent events, without end. A client has no queue of its own: it has a place in the event log and is given
 * what comes behind it when it has taken the last chunk. One that is slower than the log is long gets a `gap` message and goes on.
 */
export function eventStream(facade: ClusterFacade, options: EventStreamOptions): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  const doorbell = new Doorbell();
  let unsubscribe = (): void => {};
  let lastId = options.afterId;
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        unsubscribe = facade.subscribe(() => doorbell.ring());
        controller.enqueue(encoder.encode('retry: 1000\n\n'));
      },
      async pull(controller) {
        while (!doorbell.closed) {
          const events = facade.eventsAfter(lastId ?? 0, lastId === null ? options.limit : EVENTS_LIMIT_MAX);
          const chunk = gapBefore(lastId, events[0]) + events.map(formatEvent).join('');
          lastId = events.at(-1)?.id ?? lastId ?? 0;
          if (chunk !== '') return controller.enqueue(encoder.encode(chunk));
          if ((await doorbell.wait(options.keepAliveMs)) === 'silence') return controller.enqueue(encoder.encode(': keep-alive\n\n'));
        }
      },
      cancel() {
        unsubscribe();
        doorbell.close();
      },
    },
    { highWaterMark: 1 },
  );
}

function gapBefore(lastId: number | null, next: ClusterEvent | undefined): string {
  const missed = !lastId || !next ? 0 : next.id - lastId - 1;
  return missed > 0 ? `event: gap\ndata: ${JSON.stringify({ missed })}\n\n` : '';
}

/** JSON text has no line breaks, so one data line is enough. */
export function formatEvent(event: ClusterEvent): string {
  return `id: ${event.id}\ndata: ${JSON.stringify(event)}\n\n`;
}

/** Wakes the one who waits; a ring while nobody waits is kept for the next wait. */
class Doorbell {
  closed = false;
  #rung = false;
  #wake: (() => void) | null = null;

  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  close(): void {
    this.closed = true;
    this.ring();
  }

  async wait(limitMs: number): Promise<'ring' | 'silence'> {
    if (!this.#rung) {
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, limitMs);
        timer.unref();
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = null;
    }
    const outcome = this.#rung ? 'ring' : 'silence';
    this.#rung = false;
    return outcome;
  }
}
