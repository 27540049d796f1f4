import type { Store } from '@understudy/core/cluster';
import type { Link, StoreMessage, StoreRequest } from './link.ts';

/** Lets the process at the other end of the link use this store. Returns how to stop. */
export function serveStore(store: Store, link: Link): () => void {
  const say = (message: StoreMessage): void => link.send(message);
  const stopWatching = store.watch({
    state: now => say({ kind: 'state', now }),
    report: report => say({ kind: 'heard', report }),
  });
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
