import { performance } from 'node:perf_hooks';
import type { ClientKeys } from '@understudy/wire';
import type { Identity } from './secrets.ts';

/** Who wants a backend: what pools differ in, besides the server. Clients that have logged in alike share one. */
export interface PoolUser {
  readonly identity: Identity;
  readonly database: string;
  readonly fixed: ReadonlyMap<string, string>;
  /** Made of the above; equal for clients that may share backends. */
  readonly signature: string;
  /** When the identity was last proved, on the monotonic clock. */
  provenAtMs: number;
}

/** Beyond it the oldest is forgotten: who logs in like that again gets another one, which costs memory and nothing else. */
const MAX_KNOWN = 10_000;

/** Users by what they have in common, so that ten thousand clients of one application keep its keys once. */
export class PoolUsers {
  readonly #known = new Map<string, PoolUser>();

  /** Somebody has just proved to be this. */
  of(identity: Identity, database: string, fixed: ReadonlyMap<string, string>): PoolUser {
    const signature = JSON.stringify([identity.user, database, ...fixed]);
    const nowMs = performance.now();
    const found = this.#known.get(signature);
    if (found !== undefined && isSame(found.identity.keys, identity.keys)) {
      found.provenAtMs = nowMs;
      return found;
    }
    const made = { identity, database, fixed, signature, provenAtMs: nowMs };
    if (found === undefined && this.#known.size >= MAX_KNOWN) this.#known.delete(this.#known.keys().next().value as string);
    this.#known.set(signature, made);
    return made;
  }
}

/** After a change of the password the keys are others. */
function isSame(a: ClientKeys, b: ClientKeys): boolean {
  if (!a.clientKey.equals(b.clientKey)) return false;
  return a.serverKey === null || b.serverKey === null ? a.serverKey === b.serverKey : a.serverKey.equals(b.serverKey);
}
