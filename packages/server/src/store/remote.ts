import type { ChangeResult, ClusterState, MemberId, MemberReport, Store, StoreListener, VersionedState } from '@understudy/core/cluster';
import type { Link, StoreMessage, StoreRequest } from './link.ts';
import { tellAll } from './listeners.ts';

/** Requests that may wait for an answer at once; an agent has a handful. */
const PENDING_LIMIT = 256;

interface Pending {
  resolve(value: never): void;
  reject(error: Error): void;
}

type RequestBody = StoreRequest extends infer R ? (R extends StoreRequest ? Omit<R, 'id'> : never) : never;

/** The supervisor's store, seen from an agent's process. When the link closes every request is rejected. */
export class RemoteStore implements Store {
  readonly #link: Link;
  readonly #pending = new Map<number, Pending>();
  readonly #listeners = new Set<StoreListener>();
  readonly #reports = new Map<MemberId, MemberReport>();
  #newest: VersionedState | null = null;
  #nextId = 1;
  #closed = false;

  constructor(link: Link) {
    this.#link = link;
    link.onMessage(message => this.#receive(message as StoreMessage));
    link.onClose(() => this.#fail(new Error('the link to the store is closed')));
  }

  read(): Promise<VersionedState> {
    return this.#ask<VersionedState>({ kind: 'read' });
  }

  change(expectedRevision: number, next: ClusterState): Promise<ChangeResult> {
    return this.#ask<ChangeResult>({ kind: 'change', expectedRevision, next });
  }

  async report(report: MemberReport): Promise<void> {
    await this.#ask<null>({ kind: 'report', report });
  }

  watch(listener: StoreListener): () => void {
    this.#listeners.add(listener);
    if (this.#newest) listener.state(this.#newest);
    for (const report of this.#reports.values()) listener.report(report);
    return () => this.#listeners.delete(listener);
  }

  close(): Promise<void> {
    this.#fail(new Error('the store was closed'));
    this.#listeners.clear();
    return Promise.resolve();
  }

  #ask<T>(request: RequestBody): Promise<T> {
    if (this.#closed) return Promise.reject(new Error('the link to the store is closed'));
    if (this.#pending.size >= PENDING_LIMIT) return Promise.reject(new Error(`${PENDING_LIMIT} requests to the store are unanswered`));
    const id = this.#nextId++;
    return new Promise<T>((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#link.send({ ...request, id });
    });
  }

  #receive(message: StoreMessage): void {
    if (this.#closed) return;
    switch (message.kind) {
      case 'answer':
        this.#take(message.id)?.resolve(message.value as never);
        return;
      case 'error':
        this.#take(message.id)?.reject(new Error(message.message));
        return;
      case 'state':
        this.#newest = message.now;
        tellAll(this.#listeners, listener => listener.state(message.now));
        return;
      case 'heard':
        this.#reports.set(message.report.id, message.report);
        tellAll(this.#listeners, listener => listener.report(message.report));
        return;
      default:
        message satisfies never;
    }
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    return pending;
  }

  #fail(error: Error): void {
    this.#closed = true;
    for (const pending of this.#pending.values()) pending.reject(error);
    this.#pending.clear();
  }
}
