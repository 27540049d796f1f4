import { describeRoute, newSessionCausality } from '@understudy/core/routing';
import { describeReason } from '@understudy/core/sql';
import pg from 'pg';
import { RoutedClient } from './client/routed-client.ts';
import type { PoolConfig } from './options.ts';
import { closeRouter, retainRouter } from './routing/registry.ts';
import type { RouteCounts, RouteInfo } from './routing/route.ts';
import type { Router } from './routing/router.ts';
import { Session } from './session.ts';

/** Where a statement would go now, without running it. */
export interface Explanation {
  readonly role: 'primary' | 'replica' | 'wait';
  /** Id of the server; null while there is none that may take it. */
  readonly server: string | null;
  /** What the statement does, as one sentence. */
  readonly statement: string;
  /** Why it would go there. */
  readonly because: string;
}

/**
 * A `pg.Pool` over a primary and its replicas. Reads go to replicas and see every write that was made through this process before; writes and transactions
 * go to the primary, whichever that is. Everything else is pg's own: arguments, results, events, counters, errors.
 *
 * Event `route` tells of every statement where it went and why ({@link RouteInfo}).
 */
export class Pool extends pg.Pool {
  readonly #router: Router;

  constructor(config: PoolConfig = {}) {
    super(config);
    (this as unknown as { Client: unknown }).Client = RoutedClient;
    this.#router = retainRouter(this.options as PoolConfig);
    this.on('connect', client => {
      client.on('route' as never, ((info: RouteInfo) => this.#tell(info)) as never);
    });
    this.on('release', (_error, client) => (client as unknown as RoutedClient).handedBack());
  }

  /**
   * A session: its reads see its own writes, here and, with its token, in other processes.
   * @param token what an earlier session's `token` gave; one that means nothing here is left aside.
   */
  session(token?: string | null): Session {
    return new Session(this.#router, this, token);
  }

  /** Where the statement would go now, and why; it is not run. */
  async explain(text: string): Promise<Explanation> {
    await this.#router.start();
    const { freshness, topology, config } = this.#router;
    const { unit } = this.#router.classify(text);
    const statement = describeReason(unit.reason);
    const { primary } = topology;
    if (unit.demand === 'replica') {
      const wish = unit.hints.consistency ?? config.consistency;
      const level = wish === 'bounded' ? { kind: wish, maxLagMs: config.maxLagMs } : { kind: wish };
      const choice = freshness.choose({ wish: 'auto', level, waitedMs: 0 }, freshness.needNow(), newSessionCausality());
      const because = describeRoute(choice.reason);
      if (choice.kind === 'replica') return { role: 'replica', server: choice.replica.server.id, statement, because };
      if (choice.kind === 'primary') return { role: 'primary', server: choice.server.id, statement, because };
      return { role: 'wait', server: null, statement, because };
    }
    if (primary.kind === 'open') return { role: 'primary', server: primary.server.id, statement, because: describeRoute('write') };
    return { role: 'wait', server: null, statement, because: describeRoute('primary-absent') };
  }

  /** What was sent where since the first pool of this cluster in this process. */
  get routes(): RouteCounts {
    return this.#router.counters.read();
  }

  override on(event: 'route', listener: (info: RouteInfo) => void): this;
  override on(event: 'error' | 'release', listener: (error: Error, client: pg.PoolClient) => void): this;
  override on(event: 'connect' | 'acquire' | 'remove', listener: (client: pg.PoolClient) => void): this;
  override on(event: string, listener: (...args: never[]) => void): this {
    return super.on(event as 'connect', listener as (client: pg.PoolClient) => void);
  }

  override end(): Promise<void>;
  override end(callback: (error?: Error) => void): void;
  override end(callback?: (error?: Error) => void): Promise<void> | undefined {
    const ending = super.end().then(() => closeRouter(this.#router));
    if (callback === undefined) return ending;
    ending.then(
      () => process.nextTick(callback),
      (error: Error) => process.nextTick(callback, error),
    );
    return undefined;
  }

  #tell(info: RouteInfo): void {
    (this as unknown as NodeJS.EventEmitter).emit('route', info);
  }
}
