import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import {
  type ChangeResult,
  type ClusterState,
  decodeState,
  encodeState,
  type MemberId,
  type MemberReport,
  type Store,
  type StoreListener,
  UnderstudyError,
  type VersionedState,
} from '@understudy/core/cluster';
import { parseClusterState } from '@understudy/core/schemas';
import { writeDurably } from './durable-file.ts';
import { tellAll } from './listeners.ts';

/**
 * The store of one machine: a file that the one supervisor process writes with fsync. Compare-and-swap is trivial since
 * every change comes through this object; agents reach it over their link to the supervisor (remote.ts).
 */
export class EmbeddedStore implements Store {
  readonly #path: string;
  readonly #reports = new Map<MemberId, MemberReport>();
  readonly #listeners = new Set<StoreListener>();
  #now: VersionedState;
  #closed = false;

  private constructor(path: string, now: VersionedState) {
    this.#path = path;
    this.#now = now;
  }

  /** Makes the file. It must not exist. */
  static create(path: string, state: ClusterState): EmbeddedStore {
    if (existsSync(path)) throw new UnderstudyError('not-our-directory', { path });
    const store = new EmbeddedStore(path, { revision: 1, state });
    store.#write(store.#now);
    return store;
  }

  /** Reads the file. Throws `state-corrupt` or `state-newer`, and touches nothing then. */
  static open(path: string): EmbeddedStore {
    return new EmbeddedStore(path, readStateFile(path));
  }

  /** The present state, without waiting: the supervisor holds it. */
  get current(): VersionedState {
    return this.#now;
  }

  read(): Promise<VersionedState> {
    return Promise.resolve(this.#now);
  }

  change(expectedRevision: number, next: ClusterState): Promise<ChangeResult> {
    if (this.#closed) return Promise.reject(new Error('the store is closed'));
    if (this.#now.revision !== expectedRevision) return Promise.resolve({ kind: 'conflict', now: this.#now });
    const before = this.#now;
    const now = { revision: expectedRevision + 1, state: next };
    try {
      this.#write(now);
    } catch (error) {
      return Promise.reject(error);
    }
    this.#now = now;
    setImmediate(() => this.#keepPrevious(before));
    // A listener may itself change the state: then all have heard the newer one already, and nothing may come out of order.
    tellAll(this.#listeners, listener => {
      if (this.#now === now) listener.state(now);
    });
    return Promise.resolve({ kind: 'done', now });
  }

  report(report: MemberReport): Promise<void> {
    if (this.#closed) return Promise.reject(new Error('the store is closed'));
    this.#reports.set(report.id, report);
    tellAll(this.#listeners, listener => listener.report(report));
    return Promise.resolve();
  }

  watch(listener: StoreListener): () => void {
    this.#listeners.add(listener);
    listener.state(this.#now);
    for (const report of this.#reports.values()) if (this.#now.state.members[report.id]) listener.report(report);
    return () => this.#listeners.delete(listener);
  }

  /** From now on the file may belong to another process. */
  close(): Promise<void> {
    this.#closed = true;
    this.#listeners.clear();
    return Promise.resolve();
  }

  #write(now: VersionedState): void {
    writeDurably(this.#path, `${encodeState(now)}\n`);
  }

  /** A courtesy for people who must repair: whole or as it was, and nothing that a change has to wait for. */
  #keepPrevious(before: VersionedState): void {
    if (this.#closed) return;
    const aside = `${this.#path}.previous.new`;
    try {
      writeFileSync(aside, `${encodeState(before)}\n`, { mode: 0o600 });
      renameSync(aside, `${this.#path}.previous`);
    } catch {
      rmSync(aside, { force: true });
    }
  }
}

/** Reads and checks a state file. */
export function readStateFile(path: string): VersionedState {
  let document: unknown;
  try {
    document = decodeState(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new UnderstudyError('state-corrupt', { path, why: (error as Error).message }, { cause: error });
  }
  const { revision, state } = (document ?? {}) as { revision?: unknown; state?: { schema?: unknown } };
  if (typeof state?.schema === 'number' && state.schema > 1) throw new UnderstudyError('state-newer', { path, found: state.schema });
  if (typeof revision !== 'number' || !Number.isSafeInteger(revision) || revision < 1) {
    throw new UnderstudyError('state-corrupt', { path, why: 'it has no revision' });
  }
  try {
    return { revision, state: parseClusterState(state) };
  } catch (error) {
    throw new UnderstudyError('state-corrupt', { path, why: firstProblem(error) }, { cause: error });
  }
}

function firstProblem(error: unknown): string {
  const issue = (error as { issues?: { path: PropertyKey[]; message: string }[] }).issues?.[0];
  return issue ? `${issue.path.join('.') || 'the document'}: ${issue.message}` : String(error);
}
