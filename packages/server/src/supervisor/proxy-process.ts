import { join } from 'node:path';
import { type EventDraft, type FailoverConfig, type Store, UnderstudyError } from '@understudy/core/cluster';
import type { StatementSample } from '@understudy/core/routing';
import type { RouterStatus } from '../api/types.ts';
import type { FromProxy, ToProxy } from '../proxy/messages.ts';
import type { ProxyOptions } from '../proxy/options.ts';
import type { ProxyStats } from '../proxy/ports.ts';
import { channel, type Link } from '../store/link.ts';
import { tellAll } from '../store/listeners.ts';
import { serveStore } from '../store/serve.ts';
import { Child, FIRST_HANDED_FD } from './child.ts';
import { draft } from './member-process.ts';

const STOP_DEADLINE_MS = 5000;

export interface ProxyProcessOptions {
  readonly proxy: ProxyOptions;
  readonly failover: FailoverConfig;
  /** How long the router's view counts without a confirmation; null: the store cannot be lost. */
  readonly viewTtlMs: number | null;
  /** Where the members of this machine keep their things; null: servers are reached by address alone. */
  readonly membersDirectory: string | null;
  /** A bound socket of this process on which the proxy listens, in each of its lives; null: it binds its port itself. */
  readonly listenFd: number | null;
  readonly store: Store;
  readonly logDirectory: string;
  readonly onEvent: (event: EventDraft) => void;
  readonly onDrained: (intentId: string) => void;
}

/** The proxy's own process, so that a busy proxy never delays an agent. */
export class ProxyProcess {
  readonly #options: ProxyProcessOptions;
  readonly #child: Child;
  #proxy: ProxyOptions;
  /** Resolves when it first listens; rejects with `supervisor-failed` when it cannot, ends or is stopped before that. */
  readonly listening: Promise<void>;
  #settleListening: { resolve: () => void; reject: (error: Error) => void } | null = null;
  #control: Link | null = null;
  #stats: ProxyStats | null = null;
  readonly #watchers = new Set<(sample: StatementSample) => void>();

  constructor(options: ProxyProcessOptions) {
    this.#options = options;
    this.#proxy = options.proxy;
    this.listening = new Promise<void>((resolve, reject) => {
      this.#settleListening = { resolve, reject };
    });
    this.listening.catch(() => undefined);
    this.#child = new Child({
      name: 'proxy',
      entry: 'proxy/main',
      logFile: join(options.logDirectory, 'proxy.log'),
      handed: options.listenFd === null ? [] : [options.listenFd],
      onStart: link => this.#begin(link),
      onExit: cause => {
        this.#stats = null;
        this.#giveUpListening(`the router ended (${cause})`);
        options.onEvent(draft('router-warning', null, `The proxy ended (${cause}); it is started again.`));
      },
    });
  }

  status(): RouterStatus {
    const { pid } = this.#child;
    if (this.#stats === null) return { clients: 0, reads: {}, writes: 0, held: 0, pid };
    const { clients, reads, writes, held, listening: _, ...traffic } = this.#stats;
    return { clients, reads, writes, held, pid, traffic };
  }

  /** The store has confirmed all that the router has heard, as of so many milliseconds ago. */
  confirmView(ageMs: number): void {
    const atNs = process.hrtime.bigint() - BigInt(Math.round(ageMs * 1e6));
    this.#control?.send({ kind: 'view-confirmed', atNs } satisfies ToProxy);
  }

  /** Other options for the proxy that runs and, when it is started again, for the next one. What only a start can change stays. */
  reload(options: ProxyOptions): void {
    this.#proxy = { ...options, host: this.#proxy.host, port: this.#proxy.port, workers: this.#proxy.workers, router: this.#proxy.router };
    this.#control?.send({ kind: 'reload', options: this.#proxy } satisfies ToProxy);
  }

  /** Samples of what is routed, until the returned function is called. The router makes them only while somebody looks. */
  watchStatements(listener: (sample: StatementSample) => void): () => void {
    this.#watchers.add(listener);
    if (this.#watchers.size === 1) this.#control?.send({ kind: 'watch', active: true } satisfies ToProxy);
    return () => {
      if (this.#watchers.delete(listener) && this.#watchers.size === 0)
        this.#control?.send({ kind: 'watch', active: false } satisfies ToProxy);
    };
  }

  /** Clients get `drainMs` to end what they have begun. */
  async stop(drainMs = 0): Promise<void> {
    this.#giveUpListening('the router was stopped');
    this.#control?.send({ kind: 'stop', drainMs } satisfies ToProxy);
    await this.#child.stop(drainMs + STOP_DEADLINE_MS);
  }

  #begin(link: Link): void {
    const { failover, viewTtlMs, membersDirectory, store } = this.#options;
    const listenFd = this.#options.listenFd === null ? null : FIRST_HANDED_FD;
    const control = channel(link, 'control');
    this.#control = control;
    control.onMessage(message => this.#hear(message as FromProxy));
    // First of all: it tells the proxy how to take the rest.
    control.send({ kind: 'begin', options: this.#proxy, listenFd, failover, viewTtlMs, membersDirectory } satisfies ToProxy);
    serveStore(store, channel(link, 'store'));
    if (this.#watchers.size > 0) control.send({ kind: 'watch', active: true } satisfies ToProxy);
  }

  #giveUpListening(why: string): void {
    this.#settleListening?.reject(new UnderstudyError('supervisor-failed', { why, log: this.#options.logDirectory }));
  }

  #hear(said: FromProxy): void {
    const { onEvent, onDrained } = this.#options;
    switch (said.kind) {
      case 'listening':
        this.#settleListening?.resolve();
        return;
      case 'stats':
        this.#stats = said.stats;
        return;
      case 'statements':
        tellAll(this.#watchers, watcher => watcher(said.sample));
        return;
      case 'event':
        onEvent(said.event);
        return;
      case 'drained':
        onDrained(said.intentId);
        return;
      case 'reload-failed':
        onEvent(draft('router-warning', null, `The router goes on with its settings as they were: ${said.message}`));
        return;
      case 'failed':
        this.#giveUpListening(said.message);
        onEvent(draft('router-warning', null, said.message));
        return;
      default:
        said satisfies never;
    }
  }
}
