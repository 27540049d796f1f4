import type { MemberId, MemberReport, Store, StoreListener, VersionedState } from '@understudy/core/cluster';
import type { Link, StoreMessage, StoreRequest } from './link.ts';

/** Lets the process at the other end of the link use this store. Returns how to stop. */
export function serveStore(store: Store, link: Link): () => void {
  const say = (message: StoreMessage): void => link.send(message);
  const stopWatching = store.watch(new NewsTeller(link));
  link.onMessage(message => {
    const request = message as StoreRequest;
    answer(store, request).then(
      value => say({ kind: 'answer', id: request.id, value }),
      (error: Error) => say({ kind: 'error', id: request.id, message: error.message }),
    );
  });
  link.onClose(stopWatching);
  return stopWatching;
}

/**
 * Tells the other end the news, one batch on its way at a time. A process that does not read (stopped, or too busy) costs the newest state
 * and one report a member, however long it takes.
 */
class NewsTeller implements StoreListener {
  readonly #link: Link;
  readonly #reports = new Map<MemberId, MemberReport>();
  #state: VersionedState | null = null;
  #unsent = 0;

  constructor(link: Link) {
    this.#link = link;
  }

  state(now: VersionedState): void {
    this.#state = now;
    this.#flush();
  }

  report(report: MemberReport): void {
    this.#reports.set(report.id, report);
    this.#flush();
  }

  #flush(): void {
    if (this.#unsent > 0) return;
    const news: StoreMessage[] = this.#state ? [{ kind: 'state', now: this.#state }] : [];
    for (const report of this.#reports.values()) news.push({ kind: 'heard', report });
    this.#state = null;
    this.#reports.clear();
    this.#unsent = news.length;
    for (const message of news) this.#link.send(message, () => this.#noteSent());
  }

  #noteSent(): void {
    this.#unsent -= 1;
    this.#flush();
  }
}

async function answer(store: Store, request: StoreRequest): Promise<Extract<StoreMessage, { kind: 'answer' }>['value']> {
  switch (request.kind) {
    case 'read':
      return store.read();
    case 'change':
      return store.change(request.expectedRevision, request.next);
    case 'report':
      await store.report(request.report);
      return null;
    default:
      return request satisfies never;
  }
}
