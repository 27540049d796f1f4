import { type Address, addressName, ASK_IDENTITY, ASK_ROLE, readRole, type SelfReport } from '@understudy/core/routing';
import { Backend } from '@understudy/wire';
import type { ProxyOptions } from './options.ts';
import { openAsRouter } from './router-connection.ts';
import type { ServerConnection, ServerConnectionOwner } from './server-connection.ts';

/** Between two questions while there is a primary, and while there is none: then somebody has to say that it has become one. */
const SLOW_LOOK_MS = 250;
const SEARCH_LOOK_MS = 50;

export interface WatchHost {
  /** There is no primary. */
  readonly searching: boolean;
  /** The server said what it is; null: it cannot be reached. */
  onReport(id: string, report: SelfReport | null): void;
}

/**
 * Asks one server what it is, again and again on one connection. PostgreSQL says of itself when it is promoted (in_hot_standby is reported), and the
 * end of the connection is news as well: then it is asked at once.
 */
export class ServerWatch implements ServerConnectionOwner {
  readonly address: Address;
  readonly id: string;
  readonly #options: ProxyOptions;
  readonly #host: WatchHost;
  #connection: ServerConnection | null = null;
  #identity: string | null = null;
  #timeline = 0;
  #asking = false;
  /** There was news while the server was being asked. */
  #again = false;
  #timer: NodeJS.Timeout | null = null;
  #ended = false;

  constructor(address: Address, options: ProxyOptions, host: WatchHost) {
    this.address = address;
    this.id = addressName(address);
    this.#options = options;
    this.#host = host;
  }

  /** Asks now, and goes on asking. Resolves with the answer to this question, or when there is none to be had. */
  async look(): Promise<void> {
    if (this.#ended) return;
    if (this.#asking) {
      this.#again = true;
      return;
    }
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#asking = true;
    this.#again = false;
    let report = await this.#ask().catch(() => null);
    // The end of a connection says little of the server: whether it takes a new one does.
    if (report === null && this.#again) report = await this.#ask().catch(() => null);
    this.#asking = false;
    if (this.#ended) return;
    this.#host.onReport(this.id, report);
    const waitMs = this.#again && report !== null ? 0 : this.#host.searching ? SEARCH_LOOK_MS : SLOW_LOOK_MS;
    this.#timer = setTimeout(() => void this.look(), waitMs);
  }

  end(): void {
    this.#ended = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#connection?.end();
    this.#connection = null;
  }

  async #ask(): Promise<SelfReport | null> {
    const connection = (this.#connection ??= await this.#open());
    const timer = setTimeout(() => this.#giveUp(connection), this.#options.connectTimeoutMs);
    try {
      this.#identity ??= await identityOf(connection);
      const [row] = await connection.ask(ASK_ROLE);
      const answer = row === undefined ? null : readRole(row);
      if (answer === null) return null;
      // A server moves on to newer timelines only, for as long as it runs; while it receives nothing it may not know any more on which it is.
      this.#timeline = Math.max(this.#timeline, answer.timeline);
      return { role: answer.role, timeline: this.#timeline, systemIdentifier: this.#identity };
    } finally {
      clearTimeout(timer);
    }
  }

  /** It hangs, which is no news: it has had its time. */
  #giveUp(connection: ServerConnection): void {
    if (this.#connection === connection) this.#connection = null;
    connection.destroy(new Error('the server did not answer in time'));
  }

  async #open(): Promise<ServerConnection> {
    const connection = await openAsRouter(this.address, this.#options, { member: this.id });
    if (this.#ended) {
      connection.end();
      throw new Error('the watch has ended');
    }
    connection.owner = this;
    this.#timeline = 0;
    return connection;
  }

  // ---- what the connection tells

  onAside(_from: ServerConnection, type: number): void {
    if (type === Backend.parameterStatus) void this.look();
  }

  onLost(from: ServerConnection): void {
    if (this.#connection !== from) return;
    this.#connection = null;
    void this.look();
  }

  onAnswer(): void {
    // Its own questions are answered where they are asked.
  }

  onChunkEnd(): void {
    // There is nothing to write.
  }

  onDrain(): void {
    // There is nothing to write.
  }
}

/** Null where the role may not ask: servers of other clusters are not told from ours then. */
async function identityOf(connection: ServerConnection): Promise<string | null> {
  try {
    return (await connection.ask(ASK_IDENTITY))[0]?.[0] ?? null;
  } catch (error) {
    if (connection.lost) throw error;
    return null;
  }
}
