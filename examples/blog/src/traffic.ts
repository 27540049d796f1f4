import { setTimeout as sleep } from 'node:timers/promises';

/** What handles a request: the application itself, so that the generator measures it and not sockets. */
export type Handle = (request: Request) => Response | Promise<Response>;

export interface TrafficPlan {
  readonly visitors: number;
  /** Mean pause of a visitor between two requests; 0: none. */
  readonly thinkMs: number;
  /** So many reads for one write. Infinity: only reads; 0: only writes. */
  readonly readsPerWrite: number;
  /** Whether a visitor's browser keeps cookies, and with them its session's token. */
  readonly cookies: boolean;
}

/** What happened since the last look. */
export interface Tally {
  reads: number;
  writes: number;
  /** An author published or commented, looked, and did not see it. */
  stale: number;
  /** A read that failed. */
  failedReads: number;
  /** A write that failed and was made again, once. */
  retriedWrites: number;
  /** The most of them that one author had, since the beginning. */
  retriedWritesOfOne: number;
  /** A write that failed then as well. */
  failedWrites: number;
  latenciesMs: number[];
}

/** Letters that are there from the beginning. */
const FIRST_POSTS = 500;

const newTally = (): Tally => ({
  reads: 0,
  writes: 0,
  stale: 0,
  failedReads: 0,
  retriedWrites: 0,
  retriedWritesOfOne: 0,
  failedWrites: 0,
  latenciesMs: [],
});

/** Visitors of the blog: most of them read; authors publish and refresh. */
export class Traffic {
  readonly #handle: Handle;
  #plan: TrafficPlan;
  #tally: Tally = newTally();
  #running = 0;
  #posts = FIRST_POSTS;
  #stopped = false;
  readonly #visits: Set<Promise<void>> = new Set();

  constructor(handle: Handle, plan: TrafficPlan) {
    this.#handle = handle;
    this.#plan = plan;
  }

  get visitors(): number {
    return this.#plan.visitors;
  }

  change(plan: Partial<TrafficPlan>): void {
    this.#plan = { ...this.#plan, ...plan };
    while (!this.#stopped && this.#running < this.#plan.visitors) this.#come(this.#running++);
  }

  start(): void {
    this.change({});
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#visits);
  }

  take(): Tally {
    const tally = this.#tally;
    this.#tally = newTally();
    return tally;
  }

  #come(number: number): void {
    const visit = this.#visit(new Browser(this.#handle, `author${number}`)).finally(() => this.#visits.delete(visit));
    this.#visits.add(visit);
  }

  /** One visitor, until there are too many of them. */
  async #visit(browser: Browser): Promise<void> {
    while (!this.#stopped && this.#running <= this.#plan.visitors) {
      const { readsPerWrite, thinkMs, cookies } = this.#plan;
      browser.keepsCookies = cookies;
      if (Math.random() * (readsPerWrite + 1) < 1) await this.#write(browser);
      else await this.#read(browser, this.#somewhere());
      if (thinkMs > 0) await sleep(-Math.log(1 - Math.random()) * thinkMs);
    }
    this.#running -= 1;
  }

  #somewhere(): string {
    const dice = Math.random();
    const post = 1 + Math.floor(Math.random() ** 2 * this.#posts);
    if (dice < 0.2) return '/';
    if (dice < 0.8) return `/posts/${post}`;
    if (dice < 0.9) return `/authors/author${post % 20}`;
    return dice < 0.95 ? `/search?q=topic${post % 50}` : '/feed';
  }

  async #read(browser: Browser, path: string): Promise<string | null> {
    const start = performance.now();
    const answer = await browser.get(path);
    this.#tally.reads += 1;
    this.#tally.latenciesMs.push(performance.now() - start);
    if (answer.status >= 500) this.#tally.failedReads += 1;
    return answer.status === 200 ? await answer.text() : null;
  }

  /** Publishes a letter or a comment, and goes where the answer points: its author expects to see it there. */
  async #write(browser: Browser): Promise<void> {
    const words = `${browser.name} ${Math.random().toString(36).slice(2)}`;
    const comments = Math.random() < 0.5;
    const [path, form] = comments
      ? [`/posts/${1 + Math.floor(Math.random() * FIRST_POSTS)}/comments`, { author: browser.name, body: words }]
      : ['/posts', { author: browser.name, title: words, body: 'Written in a hurry.' }];
    let answer = await browser.post(path, form);
    if (answer.status >= 500) {
      this.#tally.retriedWrites += 1;
      browser.retries += 1;
      this.#tally.retriedWritesOfOne = Math.max(this.#tally.retriedWritesOfOne, browser.retries);
      answer = await browser.post(path, form);
      if (answer.status >= 500) this.#tally.failedWrites += 1;
    }
    const where = answer.headers.get('location');
    if (where === null) return;
    this.#tally.writes += 1;
    const page = await this.#read(browser, where.replace(/#.*/, ''));
    if (!page?.includes(words)) this.#tally.stale += 1;
    if (!comments) this.#posts = Math.max(this.#posts, Number(where.split('/')[2]));
  }
}

/** A visitor's browser: sends forms, keeps the cookie. */
class Browser {
  readonly name: string;
  readonly #handle: Handle;
  keepsCookies = true;
  retries = 0;
  #cookie = '';

  constructor(handle: Handle, name: string) {
    this.#handle = handle;
    this.name = name;
  }

  get(path: string): Promise<Response> {
    return this.#send(path, {});
  }

  post(path: string, form: Record<string, string>): Promise<Response> {
    return this.#send(path, { method: 'POST', body: new URLSearchParams(form) });
  }

  async #send(path: string, init: RequestInit): Promise<Response> {
    const headers: Record<string, string> = this.keepsCookies && this.#cookie !== '' ? { cookie: this.#cookie } : {};
    const answer = await this.#handle(new Request(`http://letters.example${path}`, { ...init, headers }));
    this.#cookie = answer.headers.get('set-cookie')?.split(';')[0] ?? this.#cookie;
    return answer;
  }
}
