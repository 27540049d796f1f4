import type { ClusterEvent, EventKind } from '@understudy/core/cluster';
import { batch } from '@preact/signals';
import { ApiError, fetchHistory, fetchSamples, fetchStatus, readEvents } from '../api/client.ts';
import { withEvents } from '../model/events.ts';
import { withPast, withSample } from '../model/samples.ts';
import * as store from './store.ts';

const POLL_MS = 1000;
/** A page that nobody sees asks seldom. */
const POLL_HIDDEN_MS = 5000;
/** An event means that the status has changed; a burst of events asks once. */
const POLL_AFTER_EVENT_MS = 40;
const RECONNECT_MS = { first: 250, most: 4000 } as const;

/** After these the history of terms has changed. */
const CHANGES_HISTORY: ReadonlySet<EventKind> = new Set(['primary-elected', 'primary-promoted', 'primary-established', 'cluster-created']);

/** Keeps the store up to date for as long as the page is open. */
export function startFeed(): void {
  const poller = new Poller();
  void poller.run();
  void followEvents(news => {
    store.events.value = withEvents(store.events.value, news);
    poller.hurry();
    if (news.some(event => CHANGES_HISTORY.has(event.kind))) void refreshHistory();
  });
  void refreshHistory();
  void fetchPast();
  document.addEventListener('visibilitychange', () => poller.hurry());
}

/** Asks for the status at regular intervals, one request at a time, and sooner when it is told to hurry. */
class Poller {
  #wake: (() => void) | null = null;
  #hurried = false;

  hurry(): void {
    this.#hurried = true;
    this.#wake?.();
  }

  async run(): Promise<never> {
    for (;;) {
      await refreshStatus();
      if (!this.#hurried) await this.#pause(document.hidden ? POLL_HIDDEN_MS : POLL_MS);
      if (this.#hurried) await pause(POLL_AFTER_EVENT_MS);
      this.#hurried = false;
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

async function refreshStatus(): Promise<void> {
  const askedAtMs = Date.now();
  try {
    const next = await fetchStatus();
    batch(() => {
      store.status.value = next;
      store.samples.value = withSample(store.samples.value, next, (askedAtMs + Date.now()) / 2);
      if (store.contact.value.kind !== 'live') store.contact.value = { kind: 'live' };
    });
  } catch (error) {
    lose(error);
  }
}

function lose(error: unknown): void {
  const known = store.contact.value;
  const why = error instanceof ApiError ? error.message : String(error);
  store.contact.value = { kind: 'lost', sinceMs: known.kind === 'lost' ? known.sinceMs : Date.now(), why };
}

/** The history only adds what the events no longer tell; without it the page works on. */
async function refreshHistory(): Promise<void> {
  const answer = await fetchHistory().catch(() => null);
  if (answer) store.history.value = answer.terms;
}

/** The charts begin with what was before the page was opened; without it they begin empty. */
async function fetchPast(): Promise<void> {
  const answer = await fetchSamples().catch(() => null);
  if (answer) store.samples.value = withPast(store.samples.value, answer.samples);
}

async function followEvents(onEvents: (events: readonly ClusterEvent[]) => void): Promise<never> {
  let waitMs: number = RECONNECT_MS.first;
  const take = (news: readonly ClusterEvent[]): void => {
    waitMs = RECONNECT_MS.first;
    onEvents(news);
  };
  for (;;) {
    // Whether the supervisor can be reached is told by the poller; here it is only tried again.
    await readEvents(store.events.value.at(-1)?.id ?? null, take).catch(() => null);
    await pause(waitMs);
    waitMs = Math.min(waitMs * 2, RECONNECT_MS.most);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise(resolve => {
    setTimeout(resolve, ms);
  });
}
