import { AsyncLocalStorage } from 'node:async_hooks';
import { newSessionCausality, type SessionCausality } from '@understudy/core/routing';
import type pg from 'pg';
import type { Router } from './routing/router.ts';
import { settle, takeToken, tokenNow } from './routing/tokens.ts';

const scopes = new AsyncLocalStorage<Session>();

/** What a session runs its statements on. */
interface SessionPool {
  query: pg.Pool['query'];
  connect: pg.Pool['connect'];
}

/**
 * One user's or job's view of the data, across requests, processes and routers: its reads see its own writes, and time never runs backwards for it. What it
 * has seen leaves as a token and comes back with the next request.
 */
export class Session {
  readonly #router: Router;
  readonly #pool: SessionPool;
  readonly #causality: SessionCausality = newSessionCausality();
  #given: string | null;
  #rejected: string | null = null;

  /** @internal: use `pool.session()`. */
  constructor(router: Router, pool: SessionPool, token: string | null | undefined) {
    this.#router = router;
    this.#pool = pool;
    this.#given = token ?? null;
  }

  /** As `pool.query`, for this session. */
  readonly query: pg.Pool['query'] = ((...args: unknown[]): unknown =>
    this.run(() => Reflect.apply(this.#pool.query, this.#pool, args))) as pg.Pool['query'];

  /** As `pool.connect`; what the client runs within this session's `run` belongs to the session. */
  readonly connect: pg.Pool['connect'] = ((...args: unknown[]): unknown =>
    this.run(() => Reflect.apply(this.#pool.connect, this.#pool, args))) as pg.Pool['connect'];

  /** Runs the function so that every statement made in it, however deep, belongs to this session. The scope ends with the function. */
  run<T>(use: () => T): T {
    return scopes.run(this, use);
  }

  /**
   * What a later read must not be older than, as text: every write of this session that was acknowledged, and its reads as far as the servers have told.
   * Null before it has seen anything.
   */
  get token(): string | null {
    this.#take();
    return tokenNow(this.#router, this.#causality) ?? this.#given;
  }

  /** The token once the servers have told all positions that it depends on, its reads included. */
  async settledToken(): Promise<string | null> {
    await this.settle();
    return this.token;
  }

  /** Why the token that it was given says nothing here; null when there is nothing to say. A bad token is no error: it came from outside. */
  get rejected(): string | null {
    this.#take();
    return this.#rejected;
  }

  /** @internal Waits until the floor of everything it did is known. */
  async settle(): Promise<void> {
    this.#take();
    await settle(this.#router, this.#causality);
  }

  /** @internal Brings the token it was given into account, as soon as the cluster's identity is known. */
  begin(): SessionCausality {
    this.#take();
    return this.#causality;
  }

  #take(): void {
    if (this.#given === null || this.#router.freshness.systemIdentifier === null) return;
    this.#rejected = takeToken(this.#router, this.#causality, this.#given);
    this.#given = null;
  }
}

/** The session in whose `run` this is called; null outside of any. */
export function currentSession(): Session | null {
  return scopes.getStore() ?? null;
}

/** Runs the function outside of any session. */
export function outsideSessions<T>(use: () => T): T {
  return scopes.exit(use);
}
