import { type Connection, type Endpoint, OpenedConnection } from './connection.ts';

/**
 * Whether an answer must show that the server takes new connections, or only what it is now. A new one costs the server a process (30 ms where
 * memory is mapped slowly), a kept one a round trip.
 */
export type Freshness = 'fresh' | 'kept';

/** One connection to a server that is kept between uses, at most one; uses that overlap open their own. */
export class KeptConnection {
  #idle: OpenedConnection | null = null;

  /**
   * Uses a connection within the deadline and keeps it for the next time. One that failed is not kept. Throws as withConnection does.
   * A kept connection that has died unnoticed shows at its use: to be asked again then is the caller's part.
   */
  async use<T>(endpoint: Endpoint, freshness: Freshness, deadlineMs: number, use: (connection: Connection) => Promise<T>): Promise<T> {
    const kept = freshness === 'kept' ? this.#take() : null;
    const connection = kept ?? new OpenedConnection(endpoint);
    try {
      const answer = await connection.during({ deadlineMs }, async () => {
        if (kept === null) await connection.client.connect();
        return await use(connection);
      });
      this.#keep(connection);
      return answer;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /** Whether there is one that looks well. */
  get isOpen(): boolean {
    return this.#idle !== null && !this.#idle.isClosed;
  }

  /** The server is gone, or another life of it begins. */
  drop(): void {
    this.#take()?.close();
  }

  #take(): OpenedConnection | null {
    const idle = this.#idle;
    this.#idle = null;
    return idle?.isClosed ? null : idle;
  }

  /** The newest stays: it has seen what the server is now. */
  #keep(connection: OpenedConnection): void {
    this.drop();
    if (!connection.isClosed) this.#idle = connection;
  }
}
