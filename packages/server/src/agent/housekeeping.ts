import { type Lsn, type MemberId, maxLsn, type ServerReport } from '@understudy/core/cluster';
import { type HeardMember, slotName } from '@understudy/core/failover';
import type { PostgresServer } from '../postgres/index.ts';

/** Slots of others on a replica move forward only when somebody moves them; until then they hold back WAL. */
const SLOTS_INTERVAL_MS = 10_000;
const LOG_INTERVAL_MS = 60_000;
const DEADLINE_MS = 3000;

/** What has to be done now and then, and decides nothing. Never more than one round at a time. */
export class Housekeeping {
  readonly #server: PostgresServer;
  readonly #now: () => number;
  #slotsAtMs = Number.NEGATIVE_INFINITY;
  #logAtMs = Number.NEGATIVE_INFINITY;
  #running = false;

  constructor(server: PostgresServer, now: () => number) {
    this.#server = server;
    this.#now = now;
  }

  /** Does what is due; rejects with what went wrong, which the next round tries again. */
  async round(self: MemberId, slots: readonly string[], members: ReadonlyMap<MemberId, HeardMember>): Promise<void> {
    if (this.#running || this.#server.pid === null) return;
    this.#running = true;
    try {
      const now = this.#now();
      if (now - this.#logAtMs >= LOG_INTERVAL_MS) {
        this.#logAtMs = now;
        await this.#server.limitLog();
      }
      if (now - this.#slotsAtMs >= SLOTS_INTERVAL_MS) {
        this.#slotsAtMs = now;
        await this.#advance(self, slots, members);
      }
    } finally {
      this.#running = false;
    }
  }

  async #advance(self: MemberId, slots: readonly string[], members: ReadonlyMap<MemberId, HeardMember>): Promise<void> {
    for (const [id, { report }] of members) {
      const held = id === self ? null : heldLsn(report.server);
      if (held !== null && slots.includes(slotName(id))) await this.#server.advanceSlot(slotName(id), held, DEADLINE_MS);
    }
  }
}

/** Up to where a member has its WAL on its own disk, at least. */
function heldLsn(server: ServerReport): Lsn | null {
  if (server.kind === 'primary') return server.flushLsn;
  if (server.kind !== 'replica' || server.replayLsn === null) return null;
  return maxLsn(server.receiveLsn ?? 0n, server.replayLsn);
}
