import { type RouterConfig, routerConfig } from '../config.ts';
import type { PoolConfig } from '../options.ts';
import { Router } from './router.ts';

/** A router that nobody uses any more is kept for so long: pools of single clients come and go. */
const LINGER_MS = 1_000;

interface Entry {
  readonly key: string;
  readonly router: Router;
  users: number;
  linger: NodeJS.Timeout | null;
}

const byKey = new Map<string, Entry>();
const byRouter = new WeakMap<Router, Entry>();
/** The options of a pool are one object for all its clients. */
const configs = new WeakMap<object, { readonly config: RouterConfig; readonly key: string }>();
const identities = new WeakMap<object, number>();
let lastIdentity = 0;

/** The router for these options, shared by everybody in the process who gives the same, and kept until {@link releaseRouter} is called as often. */
export function retainRouter(options: PoolConfig): Router {
  const entry = entryFor(options);
  entry.users += 1;
  if (entry.linger !== null) clearTimeout(entry.linger);
  entry.linger = null;
  return entry.router;
}

/** The same without keeping it. */
export function routerFor(options: PoolConfig): Router {
  return entryFor(options).router;
}

export function releaseRouter(router: Router): void {
  const entry = byRouter.get(router);
  if (entry === undefined) return;
  entry.users -= 1;
  if (entry.users === 0) entry.linger = setTimeout(() => void close(entry), LINGER_MS).unref();
}

/** Releases it and, when nobody else uses it, resolves once everything is closed. */
export async function closeRouter(router: Router): Promise<void> {
  const entry = byRouter.get(router);
  if (entry === undefined) return;
  entry.users -= 1;
  if (entry.users === 0) await close(entry);
}

async function close(entry: Entry): Promise<void> {
  if (byKey.get(entry.key) === entry) byKey.delete(entry.key);
  await entry.router.stop();
}

function entryFor(options: PoolConfig): Entry {
  let known = configs.get(options);
  if (known === undefined) {
    const config = routerConfig(options);
    known = { config, key: JSON.stringify(config, identified) };
    configs.set(options, known);
  }
  let entry = byKey.get(known.key);
  if (entry === undefined) {
    entry = { key: known.key, router: new Router(known.config), users: 0, linger: null };
    byKey.set(known.key, entry);
    byRouter.set(entry.router, entry);
  }
  return entry;
}

/** Functions are the same only when they are one. */
function identified(_key: string, value: unknown): unknown {
  if (typeof value !== 'function') return value;
  let id = identities.get(value);
  if (id === undefined) {
    id = ++lastIdentity;
    identities.set(value, id);
  }
  return `function ${id}`;
}
