import { connect, type Socket } from 'node:net';
import {
  Backend,
  backend,
  type BackendKey,
  cancelRequest,
  type ErrorFields,
  type FrameHandler,
  FrameScanner,
  frontend,
  HEADER_BYTES,
  ProtocolError,
  readErrorFields,
  type ScramCredential,
  type ScramSalt,
  startupMessage,
  type TransactionStatus,
} from '@understudy/wire';
import { ByteSink } from './byte-sink.ts';
import { type Answer, type Expectation, Expectations } from './expectations.ts';
import { PreparedOnServer } from './prepared.ts';
import { ServerLogin } from './server-login.ts';
import { secureServer, type ServerTls } from './server-tls.ts';
import { SettingsSet } from './settings-set.ts';
import { NOTHING_REPORTED, reportedParameters } from './reported.ts';

/** Whose work a connection carries. Called synchronously, in the order of the server's messages. */
export interface ServerConnectionOwner {
  /** A message that answers the client's own work, or a part of a row that spans chunks. */
  onAnswer(from: ServerConnection, answer: Answer, type: number, chunk: Buffer, start: number, end: number): void;
  /** A message that answers nothing: notice, notification, changed parameter. */
  onAside(from: ServerConnection, type: number, chunk: Buffer, start: number, end: number): void;
  /** All messages of one chunk are through: the moment to write. */
  onChunkEnd(from: ServerConnection): void;
  /** The server takes bytes again. */
  onDrain(from: ServerConnection): void;
  /** The connection is gone. Called once. */
  onLost(from: ServerConnection, why: Error): void;
}

/** Where a connection is while no session has it. */
export interface ConnectionHome extends ServerConnectionOwner {
  readonly waitingCount: number;
  /** Connections on loan. */
  readonly busyCount: number;
  /** Clients wait for connections that lanes keep from them. */
  readonly lanesMustYield: boolean;
  /** Lanes that have begun (1) or ended (-1) on connections from here. */
  noteLanes(change: 1 | -1): void;
  /** Clients wait for a connection of this server that could be theirs. */
  readonly isShort: boolean;
  release(connection: ServerConnection): void;
}

export interface ServerAddress {
  readonly host: string;
  readonly port: number;
  /** Path of its Unix socket, where the server is on this machine. */
  readonly socket?: string;
}

export interface OpenRequest {
  readonly address: ServerAddress;
  readonly member: string;
  readonly role: 'primary' | 'replica';
  /** Term of the topology under which the connection is made. */
  readonly term: number;
  readonly parameters: ReadonlyMap<string, string>;
  readonly credential: ScramCredential;
  /** Null: in the clear. */
  readonly tls: ServerTls | null;
  readonly timeoutMs: number;
  /** Gives up the attempt: a server that hangs must not hold what could go elsewhere. */
  readonly signal?: AbortSignal;
}

/** The server refused a question of the proxy's own. */
export class StatementRefused extends Error {
  override readonly name = 'StatementRefused';
  readonly fields: ErrorFields;

  constructor(fields: ErrorFields) {
    super(fields.message);
    this.fields = fields;
  }
}

const STREAMED: ReadonlySet<number> = new Set([Backend.dataRow, Backend.copyData]);
/** A row that spans two chunks is copied once; larger ones are passed on as they come. */
const STREAMED_FROM_BYTES = 128 * 1024;
/** Messages of a server other than rows and copy data. PostgreSQL sends nothing near this. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
/** Rows of the proxy's own questions. */
const MAX_OWN_ROWS = 1000;

/** One connection to a server: login, framing, what is due, and the proxy's own questions between the client's. */
export class ServerConnection implements FrameHandler {
  readonly member: string;
  readonly role: 'primary' | 'replica';
  readonly term: number;
  readonly address: ServerAddress;
  readonly expectations: Expectations = new Expectations();
  readonly prepared: PreparedOnServer = new PreparedOnServer();
  /** Settings that were changed on this connection since its login. */
  applied: SettingsSet = SettingsSet.EMPTY;
  readonly out: ByteSink;
  readonly socket: Socket;
  /** Settings that the server reports, as they are now. */
  parameters: ReadonlyMap<string, string> = new Map();
  /** The pool that the connection belongs to, and when it came back there. */
  pool: ConnectionHome | null = null;
  idleSinceMs = 0;
  /** The session that it served last. */
  lastSession: object | null = null;
  /** Code of a user's ran on it, which may have set settings that no audit shows (names of extensions' own): only RESET ALL takes them back. */
  tainted = false;
  /** Cancel requests for it that the server may not have seen yet; told when there are none any more. */
  cancelling = 0;
  onQuiet: (() => void) | null = null;
  /** Told once when the connection is closed, by whichever side. */
  onClosed: (() => void) | null = null;
  key: BackendKey | null = null;
  /** Of the stored secret of the role that is logged in; null where the server wanted no proof. */
  salt: ScramSalt | null = null;
  /** Transaction status of the last ReadyForQuery. */
  status: TransactionStatus = 'I';
  owner: ServerConnectionOwner | null = null;
  readonly #scanner: FrameScanner;
  #login: { exchange: ServerLogin; done: (error: Error | null) => void } | null = null;
  readonly #tls: ServerTls | null;
  #lost: Error | null = null;
  #isMidRow = false;

  private constructor(request: OpenRequest, socket: Socket) {
    this.member = request.member;
    this.role = request.role;
    this.term = request.term;
    this.address = request.address;
    this.#tls = request.tls;
    this.socket = socket;
    this.out = new ByteSink(socket);
    this.#scanner = new FrameScanner(this, {
      streamed: STREAMED,
      streamedFromBytes: STREAMED_FROM_BYTES,
      maxAssembledBytes: MAX_ANSWER_BYTES,
    });
  }

  /** Connects and logs in. Rejects with LoginRefused, ProtocolError or the socket's error. */
  static async open(request: OpenRequest): Promise<ServerConnection> {
    const { host, port, socket } = request.address;
    if (socket === undefined) return ServerConnection.#open(request);
    try {
      return await ServerConnection.#open(request);
    } catch (error) {
      // A server that was started without one.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      return ServerConnection.#open({ ...request, address: { host, port } });
    }
  }

  static async #open(request: OpenRequest): Promise<ServerConnection> {
    const raw = dial(request.address);
    const timer = setTimeout(() => raw.destroy(new Error('the server did not answer the login in time')), request.timeoutMs);
    const abandon = (): void => void raw.destroy(new Error('the topology has changed'));
    request.signal?.addEventListener('abort', abandon);
    try {
      const socket = request.tls === null ? raw : await secureServer(raw, request.tls);
      const connection = new ServerConnection(request, socket);
      const exchange = new ServerLogin(request.credential);
      await new Promise<void>((resolve, reject) => {
        connection.#login = { exchange, done: error => (error === null ? resolve() : reject(error)) };
        socket.on('data', chunk => connection.#onData(chunk as Buffer));
        socket.on('error', error => connection.#lose(error));
        socket.on('close', () => connection.#lose(new Error('the server closed the connection')));
        socket.on('drain', () => connection.owner?.onDrain(connection));
        socket.write(startupMessage(request.parameters));
      });
      connection.parameters = reportedParameters(NOTHING_REPORTED, exchange.parameters);
      connection.key = exchange.key;
      connection.salt = exchange.salt;
      return connection;
    } catch (error) {
      raw.destroy();
      throw error;
    } finally {
      clearTimeout(timer);
      request.signal?.removeEventListener('abort', abandon);
    }
  }

  /** A part of a row was passed on, and the rest has not come. */
  get isMidRow(): boolean {
    return this.#isMidRow;
  }

  get lost(): boolean {
    return this.#lost !== null;
  }

  /** Nothing is due and no transaction is open: the connection could carry anything. */
  get idle(): boolean {
    return this.expectations.size === 0 && this.status === 'I' && this.#lost === null;
  }

  /** Asks the server something for the proxy itself; rows as text. Rejects with the server's error or the connection's loss. */
  ask(sql: string): Promise<(string | null)[][]> {
    if (this.#lost !== null) return Promise.reject(this.#lost);
    const rows: (string | null)[][] = [];
    return new Promise((resolve, reject) => {
      const settle = (ok: boolean, why: ErrorFields | null = null): void => {
        if (ok) resolve(rows);
        else reject(this.#lost ?? (why === null ? new Error(`refused: ${sql}`) : new StatementRefused(why)));
      };
      this.expect({ kind: 'query', hidden: true, settle, rows });
      this.out.add(frontend.query(sql));
      this.out.flush();
    });
  }

  expect(item: Expectation): void {
    this.expectations.expect(item);
    if (item.kind === 'given') this.#give();
  }

  /** Answers that the proxy gives by itself, once all before them have come. In a failed transaction the server will say so instead. */
  #give(): void {
    while (this.expectations.takeGiven()) {
      if (this.status !== 'E') this.owner?.onAnswer(this, 'completes', Backend.parseComplete, backend.PARSE_COMPLETE, 0, HEADER_BYTES);
    }
  }

  /** Gives the connection up at once; the owner is told. */
  destroy(why: Error): void {
    this.socket.destroy();
    this.#lose(why);
  }

  /** Ends the connection in good order: nothing is due. The owner is not told. */
  end(): void {
    if (this.#lost !== null) return;
    this.owner = null;
    this.#lost = new Error('the connection was ended');
    this.onClosed?.();
    if (this.socket.writable) this.socket.end(frontend.TERMINATE);
    this.socket.resume();
    // A server that does not answer the end must not keep the socket.
    this.socket.setTimeout(5_000, () => this.socket.destroy());
  }

  /** Asks the server to cancel what this connection runs; resolves when the server has taken note (it closes that connection). */
  cancel(timeoutMs: number): Promise<void> {
    const key = this.key;
    if (key === null) return Promise.resolve();
    this.cancelling += 1;
    return new Promise(resolve => {
      const raw = dial(this.address);
      // A server that has not taken note in time may do so later: the connection must not meet another client then.
      raw.setTimeout(timeoutMs, () => {
        this.destroy(new Error('the server did not take a cancel request in time'));
        raw.destroy();
      });
      raw.on('error', () => raw.destroy());
      raw.on('close', () => {
        this.cancelling -= 1;
        if (this.cancelling === 0) this.onQuiet?.();
        if (this.cancelling === 0) this.onQuiet = null;
        resolve();
      });
      const send = (socket: Socket): void => {
        socket.on('error', () => raw.destroy());
        socket.on('close', () => raw.destroy());
        socket.write(cancelRequest(key));
        socket.resume();
      };
      if (this.#tls === null) raw.on('connect', () => send(raw));
      else secureServer(raw, this.#tls).then(send, () => raw.destroy());
    });
  }

  onFrame(type: number, chunk: Buffer, start: number, end: number): void {
    if (this.#login !== null) return this.#onLoginFrame(type, chunk.subarray(start, end));
    switch (type) {
      case Backend.parameterStatus: {
        const { name, value } = backend.readParameterStatus(chunk, start, end);
        this.parameters = reportedParameters(this.parameters, [[name, value]]);
        // The proxy's own RESET and SET lead from one client's settings to another's: what lies between is nobody's.
        if (this.expectations.head?.hidden !== true) this.owner?.onAside(this, type, chunk, start, end);
        return;
      }
      case Backend.noticeResponse:
      case Backend.notificationResponse:
        this.owner?.onAside(this, type, chunk, start, end);
        return;
      case Backend.errorResponse:
        // An error out of turn: the server says why it is about to close the connection.
        if (this.expectations.size === 0) {
          this.owner?.onAside(this, type, chunk, start, end);
          return;
        }
        break;
      case Backend.readyForQuery:
        this.status = backend.readReadyForQuery(chunk, start);
        break;
    }
    const head = this.expectations.head;
    const hidden = head?.hidden === true;
    const answer = this.expectations.take(type);
    if (hidden) this.#ownAnswer(head as Expectation, answer, type, chunk, start, end);
    else this.owner?.onAnswer(this, answer, type, chunk, start, end);
    this.#give();
  }

  onPart(type: number, chunk: Buffer, start: number, end: number, last: boolean): void {
    // Only the first part is checked against what is due; the others belong to the same message.
    const head = this.expectations.head;
    if (head === undefined) throw new ProtocolError('a row that nothing was sent for');
    this.#isMidRow = !last && !head.hidden;
    if (last) this.expectations.take(type);
    if (!head.hidden) this.owner?.onAnswer(this, 'within', type, chunk, start, end);
  }

  /** Answers to the proxy's own messages among a client's. An error in them is the client's: its statement failed because of it. */
  #ownAnswer(head: Expectation, answer: Answer, type: number, chunk: Buffer, start: number, end: number): void {
    if (type === Backend.dataRow && head.rows !== null && head.rows.length < MAX_OWN_ROWS) {
      head.rows.push(backend.readDataRow(chunk, start, end));
    } else if (answer === 'fails') {
      // An own Query failed: the asker is told now; the ReadyForQuery that follows tells it nothing new.
      if (head.kind === 'query') head.settle?.(false, readErrorFields(chunk, start, end));
      else this.owner?.onAnswer(this, answer, type, chunk, start, end);
    }
  }

  #onLoginFrame(type: number, frame: Buffer): void {
    const login = this.#login;
    if (login === null) return;
    const step = login.exchange.take(type, frame);
    switch (step.kind) {
      case 'send':
        this.socket.write(step.bytes);
        return;
      case 'ready':
        this.#login = null;
        login.done(null);
        return;
      case 'wait':
        return;
    }
  }

  #onData(chunk: Buffer): void {
    try {
      this.#scanner.push(chunk);
    } catch (error) {
      this.destroy(error as Error);
      return;
    }
    this.owner?.onChunkEnd(this);
  }

  #lose(why: Error): void {
    if (this.#lost !== null) return;
    this.#lost = why;
    const login = this.#login;
    this.#login = null;
    login?.done(why);
    this.expectations.abandon();
    this.owner?.onLost(this, why);
    this.onClosed?.();
  }
}

function dial({ host, port, socket }: ServerAddress): Socket {
  return socket === undefined ? connect({ host, port, noDelay: true, keepAlive: true }) : connect({ path: socket });
}
