import { randomUUID } from 'node:crypto';
import {
  type ChangeResult,
  type ClusterState,
  type MemberId,
  type MemberReport,
  type Store,
  type StoreListener,
  UnderstudyError,
  type VersionedState,
} from '@understudy/core/cluster';
import { parseClusterState } from '@understudy/core/schemas';
import { tellAll } from '../listeners.ts';
import { EtcdError, EtcdGateway, type EtcdOptions, type EtcdStream, type EtcdTls } from './gateway.ts';
import { EtcdLease } from './lease.ts';
import { Outbox } from './outbox.ts';
import { decodeValue, encodeValue, fromBase64, prefixEnd, type RawPair, type Stamped, toBase64 } from './values.ts';
import { type KeyEvent, watchPrefix } from './watch.ts';

/** What is under a lease goes this long after its writer has gone. */
const LEASE_TTL_S = 5;
/** A watch that has not shown a write of ours after so many attempts' time is stuck (at a node that lost the others), and is replaced. */
const WATCH_LAG_ATTEMPTS = 2;
const FIRST_RETRY_MS = 50;
/** Nodes that have just lost their leader refuse until they have another one, and a failover waits for that. */
const LAST_RETRY_MS = 250;
/** Events of ours that wait to be told while the store is away. */
const NEWS_LIMIT = 1000;

const monotonicMs = (): number => performance.now();

export interface EtcdStoreOptions extends EtcdOptions {
  /** All keys of the cluster begin with this; it ends with a slash. */
  readonly prefix: string;
}

/** A word of one process that is no report of a member: what routers and machines tell each other. `null`: its process is gone. */
export interface Notice {
  readonly topic: string;
  readonly from: string;
  readonly content: unknown;
}

type NoticeListener = (notice: Notice) => void;

interface StateContent {
  readonly change: string;
  readonly state: ClusterState;
}

interface RangeAnswer {
  readonly header: { readonly revision: string };
  readonly kvs?: readonly RawPair[];
}

interface TxnAnswer {
  readonly header: { readonly revision: string };
  readonly succeeded?: boolean;
  readonly responses?: readonly { readonly response_range?: { readonly kvs?: readonly RawPair[] } }[];
}

/**
 * The store of many machines. One key holds the state, and its mod_revision is the revision that changes are compared with; a key a member holds
 * its report. One watch of the whole prefix feeds all listeners, and a report counts as stored only when it has come back through that watch: then
 * everything that others had said before it has been heard, too.
 */
export class EtcdStore implements Store {
  readonly #options: EtcdStoreOptions;
  readonly #gateway: EtcdGateway;
  readonly #lease: EtcdLease;
  readonly #listeners = new Set<StoreListener>();
  readonly #noticeListeners = new Set<NoticeListener>();
  readonly #reports = new Map<MemberId, MemberReport>();
  readonly #notices = new Map<string, Notice>();
  readonly #outboxes = new Map<string, Outbox<unknown>>();
  /** The newest stamp of each key, against puts that come late. */
  readonly #stamps = new Map<string, Stamped<unknown>['stamp']>();
  readonly #life = randomUUID();
  readonly #echoes = new Set<{ revision: number; resolve: () => void }>();
  #count = 0;
  #now: VersionedState | null = null;
  /** All changes up to here have been told. */
  #revision = 0;
  #stream: EtcdStream | null = null;
  #news: unknown[] = [];
  #contactAtMs = Number.NEGATIVE_INFINITY;
  #closed = false;

  private constructor(options: EtcdStoreOptions) {
    this.#options = options;
    this.#gateway = new EtcdGateway(options);
    this.#lease = new EtcdLease(this.#gateway, LEASE_TTL_S, monotonicMs);
  }

  /**
   * Reads the cluster's state, or puts the one given there if there is none: of several who do that at once, one wins. Null when there is none and
   * none is given. Throws EtcdError, `state-newer`.
   */
  static async open(options: EtcdStoreOptions, initial: () => ClusterState): Promise<EtcdStore>;
  static async open(options: EtcdStoreOptions, initial: (() => ClusterState) | null): Promise<EtcdStore | null>;
  static async open(options: EtcdStoreOptions, initial: (() => ClusterState) | null): Promise<EtcdStore | null> {
    const store = new EtcdStore(options);
    try {
      await store.#readAll();
      if (store.#now === null) {
        if (!initial) {
          await store.close();
          return null;
        }
        await store.#swap(0, initial());
        await store.#readAll();
      }
      void store.#follow();
      return store;
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  /** The newest state that has been heard. */
  get current(): VersionedState {
    return this.#now!;
  }

  /** When the newest request was sent whose answer shows that all before it has been heard (monotonic). */
  get contactAtMs(): number {
    return this.#contactAtMs;
  }

  /** See EtcdGateway. */
  async useTls(tls: EtcdTls): Promise<void> {
    await this.#gateway.useTls(tls);
  }

  async read(): Promise<VersionedState> {
    const { kvs } = await this.#gateway.call<RangeAnswer>('kv/range', { key: toBase64(this.#stateKey) });
    const now = kvs?.[0] ? this.#versioned(kvs[0]) : null;
    if (!now) throw new Error('the state of the cluster is gone from the store');
    this.#hearState(now);
    return now;
  }

  async change(expectedRevision: number, next: ClusterState): Promise<ChangeResult> {
    if (this.#closed) throw new Error('the store is closed');
    const result = await this.#swap(expectedRevision, next);
    this.#hearState(result.now);
    return result;
  }

  async report(report: MemberReport): Promise<void> {
    await this.#put(`members/${report.id}`, report);
  }

  /** Says something under this process's name, until the process ends or says something else. */
  async notify(topic: string, from: string, content: unknown): Promise<void> {
    await this.#put(`notices/${topic}/${from}`, content);
  }

  /**
   * Tells everybody who watches at that moment, each thing once; those who come later do not hear it. While the store is away the newest
   * are kept.
   */
  tell(from: string, news: unknown): void {
    this.#news.push(news);
    if (this.#news.length > NEWS_LIMIT) this.#news.shift();
    if (this.#news.length === 1) void this.#sendNews(from);
  }

  watch(listener: StoreListener): () => void {
    this.#listeners.add(listener);
    if (this.#now) listener.state(this.#now);
    for (const report of this.#reports.values()) if (this.#now?.state.members[report.id]) listener.report(report);
    return () => this.#listeners.delete(listener);
  }

  /** Calls the listener with every present notice, then with every new one; returns how to stop. */
  watchNotices(listener: NoticeListener): () => void {
    this.#noticeListeners.add(listener);
    for (const notice of this.#notices.values()) listener(notice);
    return () => this.#noticeListeners.delete(listener);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#listeners.clear();
    this.#noticeListeners.clear();
    this.#stream?.close(new Error('the store is closed'));
    await this.#lease.revoke().catch(() => undefined);
    this.#gateway.close();
  }

  get #stateKey(): string {
    return `${this.#options.prefix}state`;
  }

  /**
   * Compare-and-swap. An attempt whose answer was lost may have taken effect, or may yet: each change has a name of its own, so that the next
   * attempt's refusal shows whether it was we who won.
   */
  async #swap(expectedRevision: number, state: ClusterState): Promise<ChangeResult> {
    const key = toBase64(this.#stateKey);
    const content: StateContent = { change: randomUUID(), state };
    const answer = await this.#gateway.call<TxnAnswer>('kv/txn', {
      compare: [{ key, target: 'MOD', result: 'EQUAL', mod_revision: String(expectedRevision) }],
      success: [{ request_put: { key, value: encodeValue({ stamp: this.#stamp(), content }) } }],
      failure: [{ request_range: { key } }],
    });
    if (answer.succeeded) return { kind: 'done', now: { revision: Number(answer.header.revision), state } };
    const pair = answer.responses?.[0]?.response_range?.kvs?.[0];
    if (!pair) throw new Error('the state of the cluster is gone from the store');
    const now = this.#versioned(pair);
    return { kind: (decodeValue(pair.value ?? '').content as StateContent).change === content.change ? 'done' : 'conflict', now };
  }

  /** Puts a value under the lease, and waits until the watch has brought it back. */
  #put(name: string, content: unknown): Promise<void> {
    if (this.#closed) return Promise.reject(new Error('the store is closed'));
    let outbox = this.#outboxes.get(name);
    if (!outbox) {
      outbox = new Outbox<unknown>(value => this.#write(name, value));
      this.#outboxes.set(name, outbox);
    }
    return outbox.put(content);
  }

  async #write(name: string, content: unknown): Promise<void> {
    const sentAtMs = monotonicMs();
    const value = encodeValue({ stamp: this.#stamp(), content });
    const key = toBase64(`${this.#options.prefix}${name}`);
    const { header } = await this.#lease.with(lease =>
      this.#gateway.call<{ header: { revision: string } }>('kv/put', { key, value, lease }),
    );
    await this.#echo(Number(header.revision));
    this.#contactAtMs = Math.max(this.#contactAtMs, sentAtMs);
  }

  /** Resolves when the watch has told all up to this revision; a watch that does not get there is replaced. */
  #echo(revision: number): Promise<void> {
    if (this.#revision >= revision) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer);
        this.#echoes.delete(echo);
        resolve();
      };
      const echo = { revision, resolve: settle };
      const limitMs = this.#options.attemptMs * WATCH_LAG_ATTEMPTS;
      const timer = setTimeout(() => {
        this.#echoes.delete(echo);
        this.#stream?.close(new Error(`the watch did not show revision ${revision} within ${limitMs} ms`));
        reject(new EtcdError('unreachable', 'the watch of the store lags behind'));
      }, limitMs);
      this.#echoes.add(echo);
    });
  }

  async #sendNews(from: string): Promise<void> {
    for (let retryMs = FIRST_RETRY_MS; !this.#closed && this.#news.length > 0; ) {
      const sent = [...this.#news];
      try {
        await this.#put(`news/${from}`, sent);
        this.#news = this.#news.filter(each => !sent.includes(each));
        retryMs = FIRST_RETRY_MS;
      } catch {
        await pause(retryMs);
        retryMs = Math.min(retryMs * 2, LAST_RETRY_MS);
      }
    }
  }

  #stamp(): Stamped<unknown>['stamp'] {
    this.#count += 1;
    return { by: this.#life, n: this.#count };
  }

  /** Watches for as long as the store is open: from where the last watch ended, or anew from everything when that is not kept any more. */
  async #follow(): Promise<void> {
    let retryMs = FIRST_RETRY_MS;
    while (!this.#closed) {
      const { compacted, worked } = await this.#watchOnce();
      if (this.#closed) return;
      retryMs = worked ? FIRST_RETRY_MS : Math.min(retryMs * 2, LAST_RETRY_MS);
      await pause(retryMs);
      if (compacted) await this.#readAll().catch(() => undefined);
    }
  }

  /** One watch at one node, to its end. */
  async #watchOnce(): Promise<{ compacted: boolean; worked: boolean }> {
    let worked = false;
    const { attemptMs, prefix } = this.#options;
    try {
      const compacted = await new Promise<boolean>((resolve, reject) => {
        watchPrefix(this.#gateway, prefix, this.#revision + 1, attemptMs, {
          onEvents: (events, revision) => {
            worked = true;
            this.#hearEvents(events, revision);
          },
          onLost: (_error, wasCompacted) => resolve(wasCompacted),
        }).then(stream => {
          this.#stream = stream;
          if (this.#closed) stream.close(new Error('the store is closed'));
        }, reject);
      });
      if (!compacted && this.#stream) this.#gateway.demote(this.#stream.endpoint);
      return { compacted, worked };
    } catch {
      return { compacted: false, worked };
    } finally {
      this.#stream = null;
    }
  }

  /** Everything as it is now: at the beginning, and when a watch has missed what is not kept any more. */
  async #readAll(): Promise<void> {
    const { prefix } = this.#options;
    const answer = await this.#gateway.call<RangeAnswer>('kv/range', { key: toBase64(prefix), range_end: toBase64(prefixEnd(prefix)) });
    const pairs = answer.kvs ?? [];
    const present = new Set(pairs.map(({ key }) => fromBase64(key).slice(prefix.length)));
    const gone = [...[...this.#reports.keys()].map(id => `members/${id}`), ...this.#notices.keys()].filter(name => !present.has(name));
    for (const name of gone) this.#forget(name);
    // What was told to those who watched then is not told again.
    for (const pair of pairs) if (!fromBase64(pair.key).startsWith(`${prefix}news/`)) this.#hear({ pair, deleted: false });
    this.#advance(Number(answer.header.revision));
  }

  #hearEvents(events: readonly KeyEvent[], revision: number): void {
    if (this.#closed) return;
    for (const event of events) this.#hear(event);
    this.#advance(revision);
  }

  #advance(revision: number): void {
    this.#revision = Math.max(this.#revision, revision);
    for (const echo of this.#echoes) if (echo.revision <= this.#revision) echo.resolve();
  }

  /** What is not ours, or cannot be read, is left alone and said in the log: who runs already goes on by what it knows, and does nothing new. */
  #hear({ pair, deleted }: KeyEvent): void {
    const name = fromBase64(pair.key).slice(this.#options.prefix.length);
    try {
      if (deleted) this.#forget(name);
      else if (name === 'state') this.#hearState(this.#versioned(pair));
      else this.#hearValue(name, decodeValue(pair.value ?? ''));
    } catch (error) {
      const isNewer = error instanceof UnderstudyError;
      if (isNewer && this.#now === null) throw error;
      const what = isNewer
        ? `${error.message} ${error.action}`
        : `the store holds something unreadable under ${name}: ${(error as Error).message}`;
      process.stderr.write(`${what}\n`);
    }
  }

  #hearValue(name: string, { stamp, content }: Stamped<unknown>): void {
    const known = this.#stamps.get(name);
    if (known?.by === stamp.by && known.n >= stamp.n) return;
    this.#stamps.set(name, stamp);
    const [kind, topic, from] = name.split('/') as [string, string | undefined, string | undefined];
    if (kind === 'members') this.#hearReport(content as MemberReport);
    else if (kind === 'notices' && topic !== undefined && from !== undefined) this.#hearNotice(name, { topic, from, content });
    else if (kind === 'news' && topic !== undefined) {
      for (const each of content as readonly unknown[]) this.#hearNotice(null, { topic: 'news', from: topic, content: each });
    }
  }

  #hearState(now: VersionedState): void {
    if (this.#closed || now.revision <= (this.#now?.revision ?? 0)) return;
    this.#now = now;
    tellAll(this.#listeners, listener => {
      if (this.#now === now) listener.state(now);
    });
  }

  #hearReport(report: MemberReport): void {
    this.#reports.set(report.id, report);
    tellAll(this.#listeners, listener => listener.report(report));
  }

  #hearNotice(name: string | null, notice: Notice): void {
    if (name !== null) this.#notices.set(name, notice);
    tellAll(this.#noticeListeners, listener => listener(notice));
  }

  #forget(name: string): void {
    if (name.startsWith('members/')) this.#reports.delete(name.slice('members/'.length));
    const notice = this.#notices.get(name);
    if (!notice) return;
    this.#notices.delete(name);
    tellAll(this.#noticeListeners, listener => listener({ ...notice, content: null }));
  }

  /** Throws `state-newer`, ZodError. */
  #versioned(pair: RawPair): VersionedState {
    const { state } = decodeValue(pair.value ?? '').content as { state: { schema?: unknown } };
    if (typeof state.schema === 'number' && state.schema > 1)
      throw new UnderstudyError('state-newer', { path: this.#stateKey, found: state.schema });
    return { revision: Number(pair.mod_revision), state: parseClusterState(state) };
  }
}

function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms));
}
