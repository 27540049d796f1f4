import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import type { TourWorkload } from '../api/types.ts';
import { withClient } from './connections.ts';

export const SCHEMA = 'understudy_tour';
const POSTS = 200;
/** About 100 reads for each write, and little enough to leave the machine to whoever looks. */
const READERS = 4;
const READ_EVERY_MS = 20;
const WRITE_EVERY_MS = 500;
const RECONNECT_MS = 100;
const RATE_WINDOW_MS = 2000;

const TABLES = `
create schema if not exists ${SCHEMA};
create table if not exists ${SCHEMA}.posts(id int primary key, title text not null, body text not null);
create table if not exists ${SCHEMA}.comments(id bigserial primary key, post int not null, words text not null);
create table if not exists ${SCHEMA}.ledger(run text not null, n int not null, primary key (run, n));
insert into ${SCHEMA}.posts select i, 'Post ' || i, repeat('word ', 50) from generate_series(1, ${POSTS}) i on conflict do nothing;
analyze ${SCHEMA}.posts`;

/** The small blog: readers that read posts and one author who comments, all through the router. */
export class Blog {
  readonly #url: string;
  readonly #stop = new AbortController();
  readonly #recent: { readonly kind: 'read' | 'write'; readonly atMs: number }[] = [];
  #workers: Promise<unknown> = Promise.resolve();
  #reads = 0;
  #writes = 0;
  #failed = 0;
  #lastFailure: string | null = null;

  private constructor(url: string) {
    this.#url = url;
  }

  /** Makes the tables and begins. Throws what the server says. */
  static async start(url: string): Promise<Blog> {
    await withClient(url, client => client.query(TABLES));
    const blog = new Blog(url);
    const readers = Array.from({ length: READERS }, () => blog.#work('read', READ_EVERY_MS));
    blog.#workers = Promise.all([...readers, blog.#work('write', WRITE_EVERY_MS)]);
    return blog;
  }

  /** Ends the work and removes the tables. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#workers;
    await withClient(this.#url, client => client.query(`drop schema if exists ${SCHEMA} cascade`));
  }

  get workload(): TourWorkload {
    this.#forget();
    const rate = (kind: 'read' | 'write'): number =>
      Math.round((this.#recent.filter(each => each.kind === kind).length * 10_000) / RATE_WINDOW_MS) / 10;
    return {
      readsPerSecond: rate('read'),
      writesPerSecond: rate('write'),
      reads: this.#reads,
      writes: this.#writes,
      failed: this.#failed,
      lastFailure: this.#lastFailure,
    };
  }

  /** One client, connected anew when its connection is lost. */
  async #work(kind: 'read' | 'write', everyMs: number): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await withClient(this.#url, async client => {
        while (!signal.aborted) {
          await this.#one(client, kind);
          await pause(everyMs, undefined, { signal }).catch(() => undefined);
        }
      }).catch((error: Error) => this.#fail(error));
      await pause(RECONNECT_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  async #one(client: pg.Client, kind: 'read' | 'write'): Promise<void> {
    const post = 1 + Math.floor(Math.random() * POSTS);
    try {
      if (kind === 'read') await client.query(`select title, body from ${SCHEMA}.posts where id = $1`, [post]);
      else await client.query(`insert into ${SCHEMA}.comments(post, words) values ($1, $2)`, [post, 'Well said.']);
    } catch (error) {
      // An error of the server leaves the connection as it was; any other is its end.
      if (!(error instanceof pg.DatabaseError)) throw error;
      return this.#fail(error);
    }
    if (kind === 'read') this.#reads += 1;
    else this.#writes += 1;
    this.#recent.push({ kind, atMs: performance.now() });
    this.#forget();
  }

  #fail(error: Error): void {
    if (this.#stop.signal.aborted) return;
    this.#failed += 1;
    this.#lastFailure = error.message;
  }

  #forget(): void {
    const from = performance.now() - RATE_WINDOW_MS;
    while (this.#recent.length > 0 && this.#recent[0]!.atMs < from) this.#recent.shift();
  }
}
