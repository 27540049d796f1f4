import { performance } from 'node:perf_hooks';
import type { PoolUser } from './pool-users.ts';
import type { Reported } from './reported.ts';
import type { SettingsSet } from './settings-set.ts';

const MAX_KNOWN = 10_000;
/** What servers report may change by their configuration: it is looked at again after this. */
const TTL_MS = 60_000;

interface Greeting {
  readonly parameters: Reported;
  readonly atMs: number;
}

/**
 * What a server tells a new session of its settings, by user, database and what the session asked for. A client that logs in as another did a moment ago
 * is told the same without any server, so that clients who only wait cost no server anything.
 */
export class Greetings {
  readonly #known = new Map<string, Greeting>();

  find(user: PoolUser, settings: SettingsSet): Reported | null {
    const found = this.#known.get(keyOf(user, settings));
    return found === undefined || performance.now() - found.atMs > TTL_MS ? null : found.parameters;
  }

  note(user: PoolUser, settings: SettingsSet, parameters: Reported): void {
    if (this.#known.size >= MAX_KNOWN) this.#known.delete(this.#known.keys().next().value as string);
    this.#known.set(keyOf(user, settings), { parameters, atMs: performance.now() });
  }
}

const keyOf = (user: PoolUser, settings: SettingsSet): string => `${user.signature} ${settings.signature}`;
