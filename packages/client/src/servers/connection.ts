import type { EventEmitter } from 'node:events';
import type { TransactionState } from '@understudy/core/sql';
import pg from 'pg';

/** The parts of a pg client that its types leave out. All of them have been there since pg 8.0. */
interface Inside {
  readonly connection: EventEmitter & {
    readonly stream: { destroy(): void; readonly bytesRead: number };
    readonly parsedStatements: Record<string, string>;
  };
  readonly _queryable: boolean;
}

/** Who uses a connection at the moment. */
export interface ConnectionOwner {
  onNotice(notice: unknown): void;
  onNotification(notification: unknown): void;
  /** The connection is ready for the next statement; not told for answers that were taken by a callback without error. */
  onIdle(connection: ServerConnection): void;
  /** It is gone. A statement that was under way has been told by its callback already, or never will be. */
  onLost(connection: ServerConnection): void;
}

/** One connection to one server: a pg client, and what is known of the session at its other end. */
export class ServerConnection {
  readonly client: pg.Client;
  /** Id of the server. */
  readonly server: string;
  /** Term of the topology under which it was made. */
  readonly term: number;
  /** Settings that it was given, as the server tells them. */
  readonly settings: Map<string, string> = new Map();
  /** What the server told of itself when the session began, and since. */
  readonly parameters: Map<string, string> = new Map();
  owner: ConnectionOwner | null = null;
  /** As the last ReadyForQuery told. */
  status: TransactionState = 'I';
  /** Its session has state that the next user must not meet. */
  spoiled = false;
  /** A wait for synchronous replicas was cancelled in the statement under way. */
  waitCancelled = false;
  idleSinceMs = 0;
  /** Its pool's count of losses when it was made. */
  generation = 0;
  #lost = false;
  #bytesBefore = 0;

  private constructor(client: pg.Client, server: string, term: number) {
    this.client = client;
    this.server = server;
    this.term = term;
    const { connection } = client as unknown as Inside;
    // Registered before the client's own, so that the status is known when answers are told.
    connection.on('readyForQuery', (message: { status: TransactionState }) => {
      this.status = message.status;
    });
    connection.on('parameterStatus', (message: { parameterName: string; parameterValue: string }) => {
      this.parameters.set(message.parameterName, message.parameterValue);
    });
    client.on('notice', notice => {
      if (/^canceling (?:the )?wait for synchronous replication/.test(notice.message ?? '')) this.waitCancelled = true;
      this.owner?.onNotice(notice);
    });
    client.on('notification', notification => this.owner?.onNotification(notification));
    client.on('drain', () => this.owner?.onIdle(this));
    client.on('error', () => this.#noteLost());
    client.on('end', () => this.#noteLost());
  }

  /** Connects and logs in. Rejects as pg does. */
  static async open(config: pg.ClientConfig, server: string, term: number): Promise<ServerConnection> {
    const connection = new ServerConnection(new pg.Client(config), server, term);
    await connection.client.connect();
    return connection;
  }

  get lost(): boolean {
    return this.#lost || !(this.client as unknown as Inside)._queryable;
  }

  get processId(): number {
    return (this.client as unknown as { processID: number }).processID;
  }

  /** A statement begins, whose answer is to be measured. */
  markBytes(): void {
    this.#bytesBefore = this.#bytesRead;
  }

  get bytesSinceMark(): number {
    return this.#bytesRead - this.#bytesBefore;
  }

  get #bytesRead(): number {
    return (this.client as unknown as Inside).connection.stream.bytesRead;
  }

  /** Whether the name is taken here by a statement of another text. */
  hasOtherStatement(name: string, text: string): boolean {
    const known = (this.client as unknown as Inside).connection.parsedStatements[name];
    return known !== undefined && known !== text;
  }

  /** Rows as arrays of text. */
  async ask(sql: string): Promise<(string | null)[][]> {
    const { rows } = await this.client.query({ text: sql, rowMode: 'array', types: TEXT as never });
    return rows as (string | null)[][];
  }

  /** Closes it in good order. */
  end(): void {
    this.owner = null;
    this.#lost = true;
    void this.client.end().catch(() => undefined);
  }

  /** Cuts it: what runs there is given up, an open transaction rolls back. */
  destroy(): void {
    (this.client as unknown as Inside).connection.stream.destroy();
  }

  #noteLost(): void {
    if (this.#lost) return;
    this.#lost = true;
    // After pg has told the statement under way, which it does in the next tick.
    setImmediate(() => this.owner?.onLost(this));
  }
}

const TEXT = { getTypeParser: () => (value: string) => value };
