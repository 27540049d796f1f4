import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import {
  Backend,
  backend,
  type BackendKey,
  type FrameHandler,
  FrameScanner,
  frontend,
  readErrorFields,
  SCRAM_SHA_256,
  ScramClient,
  startupMessage,
} from '@understudy/wire';

/** One message of a server: its type letter and the bytes of its body. */
export interface Received {
  readonly type: string;
  readonly frame: Buffer;
}

/** A client that sends exactly the bytes that a test says and shows exactly the messages that come back. */
export class WireClient implements FrameHandler {
  readonly socket: Socket;
  readonly parameters: Map<string, string> = new Map();
  key: BackendKey | null = null;
  closed = false;
  readonly #scanner = new FrameScanner(this, { streamed: new Set(), streamedFromBytes: 0, maxAssembledBytes: 1 << 28 });
  #received: Received[] = [];
  #wake: () => void = () => undefined;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', chunk => this.#scanner.push(chunk as Buffer));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.closed = true;
      this.#wake();
    });
  }

  static async raw(port: number): Promise<WireClient> {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    await once(socket, 'connect');
    return new WireClient(socket);
  }

  /** Connects and logs in with SCRAM; resolves at the first ReadyForQuery. Rejects with the server's error message. */
  static async login(
    port: number,
    user: string,
    password: string,
    more: Readonly<Record<string, string>> = {},
    minor = 0,
  ): Promise<WireClient> {
    const client = await WireClient.raw(port);
    client.send(startupMessage(new Map(Object.entries({ user, database: 'postgres', ...more })), minor));
    await client.authenticate(password);
    return client;
  }

  async authenticate(password: string): Promise<void> {
    const scram = new ScramClient({ kind: 'password', password }, 'nonce-of-the-test-client');
    for (;;) {
      const { type, frame } = await this.next();
      if (type === 'E') throw new Error(readErrorFields(frame).message);
      if (type === 'S') {
        const { name, value } = backend.readParameterStatus(frame);
        this.parameters.set(name, value);
      }
      if (type === 'K') this.key = backend.readBackendKeyData(frame);
      if (type === 'Z') return;
      if (type !== 'R') continue;
      const request = backend.readAuthentication(frame);
      if (request.kind === 'sasl') this.send(frontend.saslInitialResponse(SCRAM_SHA_256, scram.first()));
      if (request.kind === 'saslContinue') this.send(frontend.saslResponse(scram.respond(request.data)));
      if (request.kind === 'saslFinal') scram.finish(request.data);
    }
  }

  onFrame(type: number, chunk: Buffer, start: number, end: number): void {
    this.#received.push({ type: String.fromCharCode(type), frame: chunk.subarray(start, end) });
    this.#wake();
  }

  onPart(): void {
    throw new Error('nothing is streamed here');
  }

  send(...parts: readonly Buffer[]): void {
    this.socket.write(Buffer.concat(parts));
  }

  /** The next message; rejects when the connection is closed instead. */
  async next(): Promise<Received> {
    const deadline = performance.now() + 20_000;
    for (;;) {
      const first = this.#received.shift();
      if (first !== undefined) return first;
      if (this.closed) throw new Error('the connection was closed');
      const left = deadline - performance.now();
      if (left <= 0) throw new Error('no message came');
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** All messages up to the `count`th ReadyForQuery. */
  async untilReady(count = 1): Promise<Received[]> {
    const all: Received[] = [];
    for (let ready = 0; ready < count; ) {
      const message = await this.next();
      all.push(message);
      if (message.type === 'Z') ready += 1;
    }
    return all;
  }

  /** All messages up to one of this type. */
  async until(type: string): Promise<Received[]> {
    const all: Received[] = [];
    for (;;) {
      const message = await this.next();
      all.push(message);
      if (message.type === type) return all;
    }
  }

  /** Types of what is there already. */
  get pending(): string {
    return this.#received.map(m => m.type).join('');
  }

  async end(): Promise<void> {
    if (this.closed) return;
    this.send(frontend.TERMINATE);
    this.socket.end();
    await once(this.socket, 'close');
  }
}

/** A message in a form that two servers can be compared in: what differs between servers of one cluster by nature is left out. */
export function shape({ type, frame }: Received): string {
  switch (type.charCodeAt(0)) {
    case Backend.errorResponse:
    case Backend.noticeResponse: {
      const { severity, code, message } = readErrorFields(frame);
      return `${type} ${severity} ${code} ${message}`;
    }
    case Backend.parameterStatus: {
      const { name, value } = backend.readParameterStatus(frame);
      return `S ${name}=${value}`;
    }
    case Backend.rowDescription:
      // Table OIDs differ between tables made twice; the rest is the same.
      return `T ${frame.readUInt16BE(5)}`;
    default:
      return `${type} ${frame.toString('latin1', 5)}`;
  }
}
