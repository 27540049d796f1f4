import { type EtcdGateway, EtcdError, NOT_FOUND } from './gateway.ts';

/**
 * The lease that a process's own words in the store hang on: when the process is gone they go too. Nobody is judged by it (members age what they
 * hear by their own clocks); it only keeps what is long untrue from those who come later.
 */
export class EtcdLease {
  readonly #gateway: EtcdGateway;
  readonly #ttlS: number;
  readonly #now: () => number;
  #id: string | null = null;
  #renewedAtMs = Number.NEGATIVE_INFINITY;
  #granting: Promise<string> | null = null;

  constructor(gateway: EtcdGateway, ttlS: number, now: () => number) {
    this.#gateway = gateway;
    this.#ttlS = ttlS;
    this.#now = now;
  }

  /** Runs a write under the lease, which is granted or renewed when it is due; a lease that has expired is replaced, once. */
  async with<Answer>(write: (leaseId: string) => Promise<Answer>): Promise<Answer> {
    const id = await this.#valid();
    try {
      return await write(id);
    } catch (error) {
      if (!(error instanceof EtcdError) || error.status !== NOT_FOUND) throw error;
      if (this.#id === id) this.#id = null;
      return await write(await this.#valid());
    }
  }

  /** Gives the lease up: all that hangs on it goes at once. */
  async revoke(): Promise<void> {
    const id = this.#id;
    this.#id = null;
    if (id !== null) await this.#gateway.call('lease/revoke', { ID: id });
  }

  async #valid(): Promise<string> {
    if (this.#id === null) {
      this.#granting ??= this.#grant().finally(() => {
        this.#granting = null;
      });
      return await this.#granting;
    }
    if (this.#now() - this.#renewedAtMs > (this.#ttlS * 1000) / 3) void this.#renew(this.#id);
    return this.#id;
  }

  async #grant(): Promise<string> {
    const { ID } = await this.#gateway.call<{ ID: string }>('lease/grant', { TTL: String(this.#ttlS) });
    this.#id = ID;
    this.#renewedAtMs = this.#now();
    return ID;
  }

  /** Not awaited: the write goes on meanwhile. One that fails is tried again with the next write. */
  async #renew(id: string): Promise<void> {
    const before = this.#renewedAtMs;
    this.#renewedAtMs = this.#now();
    try {
      const { result } = await this.#gateway.call<{ result?: { TTL?: string } }>('lease/keepalive', { ID: id });
      if (!result?.TTL && this.#id === id) this.#id = null;
    } catch {
      this.#renewedAtMs = before;
    }
  }
}
