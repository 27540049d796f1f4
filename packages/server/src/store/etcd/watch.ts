import type { EtcdGateway, EtcdStream } from './gateway.ts';
import { prefixEnd, type RawPair, toBase64 } from './values.ts';

/** One change of a key; `value` is null when the key is gone. */
export interface KeyEvent {
  readonly pair: RawPair;
  readonly deleted: boolean;
}

export interface WatchHandlers {
  /** In the order of their revisions. `revision`: all up to here has been told. */
  onEvents(events: readonly KeyEvent[], revision: number): void;
  /** Called once, when this watch is over. `compacted`: what came after the revision is not kept any more, and must be read anew. */
  onLost(error: Error, compacted: boolean): void;
}

interface WatchLine {
  readonly result?: {
    readonly created?: boolean;
    readonly canceled?: boolean;
    readonly cancel_reason?: string;
    readonly compact_revision?: string;
    readonly events?: readonly { readonly type?: 'PUT' | 'DELETE'; readonly kv: RawPair }[];
  };
  readonly error?: { readonly message?: string };
}

/** Watches all keys of a prefix from a revision on, at one node, until it fails or is closed. */
export async function watchPrefix(
  gateway: EtcdGateway,
  prefix: string,
  fromRevision: number,
  createMs: number,
  handlers: WatchHandlers,
): Promise<EtcdStream> {
  let compacted = false;
  let timer: NodeJS.Timeout | undefined;
  const request = {
    create_request: { key: toBase64(prefix), range_end: toBase64(prefixEnd(prefix)), start_revision: String(fromRevision) },
  };
  const stream: EtcdStream = await gateway.stream('watch', request, {
    onLine: line => {
      const { result, error } = line as WatchLine;
      if (error || !result) return stream.close(new Error(error?.message ?? 'a line of a watch that says nothing'));
      if (result.created) clearTimeout(timer);
      if (result.canceled) {
        compacted = result.compact_revision !== undefined && Number(result.compact_revision) > 0;
        return stream.close(new Error(result.cancel_reason || 'etcd canceled the watch'));
      }
      const events = (result.events ?? []).map(({ type, kv }) => ({ pair: kv, deleted: type === 'DELETE' }));
      // Not the header's revision: that may be ahead of events that are still to come.
      const revision = Math.max(0, ...events.map(({ pair }) => Number(pair.mod_revision ?? 0)));
      if (events.length > 0) handlers.onEvents(events, revision);
    },
    onEnd: error => {
      clearTimeout(timer);
      handlers.onLost(error, compacted);
    },
  });
  timer = setTimeout(() => stream.close(new Error(`the watch was not there within ${createMs} ms`)), createMs);
  return stream;
}
