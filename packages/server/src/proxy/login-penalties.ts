/** How failed logins are slowed down. Times in milliseconds. */
export interface PenaltyRules {
  /** Delay of the answer to a first failure; doubled with each further one up to `maxDelayMs`. 0 switches delays off. */
  readonly delayMs: number;
  readonly maxDelayMs: number;
  /** Failures that are on record before further attempts are refused without a look at the password. */
  readonly maxFailures: number;
  /** One failure is forgiven each time this much time has passed. */
  readonly forgiveMs: number;
  /** Pairs of address and role on record; beyond it the oldest record goes. */
  readonly maxEntries: number;
}

export const DEFAULT_PENALTY_RULES: Omit<PenaltyRules, 'delayMs'> = {
  maxDelayMs: 4_000,
  maxFailures: 100,
  forgiveMs: 1_000,
  maxEntries: 10_000,
};

interface Entry {
  failures: number;
  atMs: number;
}

/**
 * Failed logins by address and role: a leaky bucket each. The role is part of the key, so that one misconfigured service does not keep its neighbours
 * behind the same address out. Only answers of failures are delayed; a right password is never slowed down.
 */
export class LoginPenalties {
  readonly #rules: PenaltyRules;
  readonly #entries = new Map<string, Entry>();

  constructor(rules: PenaltyRules) {
    this.#rules = rules;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Whether the attempt is turned away before anything is checked. */
  refuses(address: string, user: string, nowMs: number): boolean {
    const entry = this.#entries.get(keyOf(address, user));
    return entry !== undefined && this.#left(entry, nowMs) >= this.#rules.maxFailures;
  }

  /** Notes a failure; returns how long its answer is held back. */
  failed(address: string, user: string, nowMs: number): number {
    const key = keyOf(address, user);
    const entry = this.#entries.get(key);
    const failures = (entry === undefined ? 0 : this.#left(entry, nowMs)) + 1;
    // Deleted and set again: the map's order is by the last failure, so that the first one is the oldest.
    this.#entries.delete(key);
    this.#entries.set(key, { failures, atMs: nowMs });
    if (this.#entries.size > this.#rules.maxEntries) this.#entries.delete(this.#entries.keys().next().value as string);
    return Math.min(this.#rules.maxDelayMs, this.#rules.delayMs * 2 ** Math.min(Math.ceil(failures) - 1, 20));
  }

  #left(entry: Entry, nowMs: number): number {
    return Math.max(0, entry.failures - (nowMs - entry.atMs) / this.#rules.forgiveMs);
  }
}

/** An IPv6 customer has a whole /64: their addresses count as one. */
function keyOf(address: string, user: string): string {
  const plain = address.startsWith('::ffff:') ? address.slice(7) : address;
  const network = plain.includes(':') ? plain.split(':').slice(0, 4).join(':') : plain;
  return `${network} ${user}`;
}
