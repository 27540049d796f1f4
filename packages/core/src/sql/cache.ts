import type { Unit } from './statement.ts';

/** What a router learns of a statement by running it. Written by the router, kept as long as the entry. */
export interface Learned {
  /** A replica refused it with 25006 (read_only_sql_transaction): it writes through something that the grammar does not show. */
  refusedReadOnly: boolean;
  /** Moving averages over past runs; 0 before the first. */
  meanMs: number;
  meanBytes: number;
  runs: number;
}

/** One fingerprint and what is known of it. */
export interface CachedStatement {
  readonly fingerprint: Uint8Array;
  readonly hash: number;
  /** What the statement does, with what was learned taken into account. */
  unit: Unit;
  /** Generation of the function facts that `unit` was made with. */
  factsGeneration: number;
  readonly learned: Learned;
}

/** Entries of one hash are compared one by one, so their number has a limit as well: a client can choose its texts, and so their hashes. */
const MAX_SAME_HASH = 8;

/**
 * Bounded cache from fingerprint to statement. Eviction is by clock: an entry that was used since the hand last passed gets another round.
 * Compares whole fingerprints, never hashes alone: a collision would route one statement by the class of another.
 */
export class StatementCache {
  readonly #capacity: number;
  readonly #byHash: Map<number, Slot[]> = new Map();
  readonly #ring: Slot[] = [];
  #hand = 0;
  hits = 0;
  misses = 0;

  /** `capacity`: entries, at least 1. */
  constructor(capacity: number) {
    if (!Number.isInteger(capacity) || capacity < 1) throw new RangeError(`capacity of the statement cache: ${capacity}`);
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#ring.length;
  }

  /** The entry whose fingerprint is `bytes[0..length)`, or null. */
  find(bytes: Uint8Array, length: number, hash: number): CachedStatement | null {
    const slots = this.#byHash.get(hash);
    if (slots) {
      for (const slot of slots) {
        if (!sameBytes(slot.entry.fingerprint, bytes, length)) continue;
        slot.used = true;
        this.hits++;
        return slot.entry;
      }
    }
    this.misses++;
    return null;
  }

  /** Adds an entry that {@link find} did not find, in place of a little used one when the cache is full. */
  add(entry: CachedStatement): void {
    const slot: Slot = { entry, used: false };
    if (this.#ring.length < this.#capacity) {
      this.#ring.push(slot);
    } else {
      const index = this.#victim();
      this.#unlink(this.#ring[index] as Slot);
      this.#ring[index] = slot;
    }
    const slots = this.#byHash.get(entry.hash);
    if (!slots) this.#byHash.set(entry.hash, [slot]);
    else if (slots.length < MAX_SAME_HASH) slots.push(slot);
    else slots[MAX_SAME_HASH - 1] = slot;
  }

  #victim(): number {
    for (;;) {
      const index = this.#hand;
      const slot = this.#ring[index] as Slot;
      this.#hand = (index + 1) % this.#ring.length;
      if (!slot.used) return index;
      slot.used = false;
    }
  }

  #unlink(slot: Slot): void {
    const slots = this.#byHash.get(slot.entry.hash);
    const at = slots?.indexOf(slot) ?? -1;
    if (!slots || at < 0) return;
    slots.splice(at, 1);
    if (slots.length === 0) this.#byHash.delete(slot.entry.hash);
  }
}

interface Slot {
  readonly entry: CachedStatement;
  used: boolean;
}

function sameBytes(a: Uint8Array, b: Uint8Array, length: number): boolean {
  if (a.length !== length) return false;
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return false;
  return true;
}
