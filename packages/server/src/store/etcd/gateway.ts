import { Agent as HttpAgent, type ClientRequest, type IncomingMessage, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { createSecureContext } from 'node:tls';

/** Texts in PEM: whom to trust, and what to show. */
export interface EtcdTls {
  readonly ca: string;
  readonly cert: string | null;
  readonly key: string | null;
}

/** How to reach an etcd cluster (3.4 or later). */
export interface EtcdOptions {
  /** `https://host:2379`, one for each etcd node. */
  readonly endpoints: readonly string[];
  /** Null: plain HTTP, or what Node.js trusts by itself. */
  readonly tls: EtcdTls | null;
  /** User and password of etcd's own authentication. */
  readonly login: { readonly user: string; readonly password: string } | null;
  /** One node gets this long to answer before the next one is asked. */
  readonly attemptMs: number;
}

/**
 * `unreachable`: no node gave an answer, and the request may or may not have taken effect, now or a little later. `refused`: etcd said no, and it
 * did not.
 */
export class EtcdError extends Error {
  readonly kind: 'unreachable' | 'refused';
  /** gRPC status code, where etcd gave one. */
  readonly status: number | null;

  constructor(kind: EtcdError['kind'], message: string, status: number | null = null, options?: ErrorOptions) {
    super(message, options);
    this.name = 'EtcdError';
    this.kind = kind;
    this.status = status;
  }
}

/** gRPC codes (google.golang.org/grpc/codes) that are etcd's last word: another node would say the same. */
const INVALID_ARGUMENT = 3;
export const NOT_FOUND = 5;
const UNAUTHENTICATED = 16;
const FINAL: ReadonlySet<number> = new Set([INVALID_ARGUMENT, NOT_FOUND, 6, 7, 9, 11, 12]);
/** The token is not known to this node, or older than the list of users. */
const TOKEN_TROUBLE = /auth token|revision of auth store is old|user name is empty/;

const ANSWER_LIMIT_BYTES = 8 * 1024 * 1024;
/** The part of etcd that is asked for a token. It hashes the password slowly on purpose (bcrypt), so it gets its own time. */
const LOGIN_PATH = 'auth/authenticate';
const LOGIN_MS = 5000;

/** Lines of a stream of etcd's, until it ends. */
export interface StreamHandlers {
  onLine(line: unknown): void;
  /** Called once, also after `close`. */
  onEnd(error: Error): void;
}

export interface EtcdStream {
  readonly endpoint: string;
  close(why: Error): void;
}

/** etcd's JSON gateway: requests to one node after the other until one answers. The node that failed last is asked last. */
export class EtcdGateway {
  readonly #options: EtcdOptions;
  #tls: EtcdTls | null;
  #agent: HttpAgent;
  #endpoints: readonly string[];
  readonly #streams = new Set<EtcdStream>();
  #token: string | null = null;
  #closed = false;

  constructor(options: EtcdOptions) {
    this.#options = options;
    this.#endpoints = options.endpoints;
    this.#tls = options.tls;
    this.#agent = this.#newAgent();
  }

  /**
   * Shows and trusts these from now on, once one node has taken them. What is under way, and streams that are open, go on as they were: etcd looks at a
   * certificate when a connection begins. Throws EtcdError and changes nothing when no node does, and what Node.js says of texts that are no certificates.
   */
  async useTls(tls: EtcdTls): Promise<void> {
    createSecureContext(tlsOptions(tls));
    await Promise.any(this.#options.endpoints.map(endpoint => this.#tryTls(endpoint, tls))).catch((error: AggregateError) => {
      throw error.errors.at(-1);
    });
    const before = this.#agent;
    this.#tls = tls;
    this.#agent = this.#newAgent();
    before.maxFreeSockets = 0;
    for (const sockets of Object.values(before.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
  }

  #newAgent(): HttpAgent {
    const limits = { keepAlive: true, maxSockets: 16, maxFreeSockets: 4 };
    const secure = this.#options.endpoints.some(endpoint => endpoint.startsWith('https:'));
    return secure ? new HttpsAgent({ ...limits, ...tlsOptions(this.#tls) }) : new HttpAgent(limits);
  }

  /** Any answer will do: a certificate that is not taken ends the connection. */
  #tryTls(endpoint: string, tls: EtcdTls): Promise<void> {
    return new Promise((resolve, reject) => {
      const options = { ...tlsOptions(tls), agent: false as const, timeout: this.#options.attemptMs };
      const request = httpsRequest(new URL('/version', endpoint), options, response => {
        response.resume();
        response.on('error', () => undefined);
        resolve();
      });
      request.on('timeout', () => request.destroy(new Error(`no answer within ${this.#options.attemptMs} ms`)));
      request.on('error', cause => reject(new EtcdError('unreachable', `${endpoint}: ${cause.message}`, null, { cause })));
      request.end();
    });
  }

  /** Asks every node at most once (twice after a new login). Throws EtcdError. */
  async call<Answer>(path: string, body: object): Promise<Answer> {
    let last: EtcdError = new EtcdError('unreachable', 'etcd has no endpoints');
    for (const endpoint of this.#endpoints) {
      try {
        return (await this.#authorized(endpoint, token => this.#post(endpoint, path, body, token))) as Answer;
      } catch (error) {
        last = error as EtcdError;
        if (last.kind === 'refused') throw last;
        this.demote(endpoint);
      }
    }
    throw last;
  }

  /** Opens a stream at the node that is best at the moment; whoever uses it demotes the node when it does not do. */
  async stream(path: string, body: object, handlers: StreamHandlers): Promise<EtcdStream> {
    const endpoint = this.#endpoints[0]!;
    if (this.#options.login && this.#token === null) await this.#authorized(endpoint, () => Promise.resolve(null));
    const request = this.#open(endpoint, path, this.#token, false);
    let ended = false;
    const end = (error: Error): void => {
      if (ended) return;
      ended = true;
      this.#streams.delete(stream);
      request.destroy();
      handlers.onEnd(error);
    };
    const stream: EtcdStream = { endpoint, close: end };
    this.#streams.add(stream);
    request.on('error', end);
    request.on('socket', socket => socket.setKeepAlive(true, 1000));
    request.on('response', response => {
      if (response.statusCode !== 200) {
        if (response.statusCode === 401 || response.statusCode === 400) this.#token = null;
        end(new EtcdError('unreachable', `${endpoint} answered ${response.statusCode}`));
        return;
      }
      readLines(response, line => ended || handlers.onLine(line), end);
    });
    request.end(JSON.stringify(body));
    return stream;
  }

  /** From now on this node is asked after the others. A stream there is as silent as the node, and would not end by itself for a long time. */
  demote(endpoint: string): void {
    this.#endpoints = [...this.#endpoints.filter(each => each !== endpoint), endpoint];
    for (const stream of this.#streams) if (stream.endpoint === endpoint) stream.close(new Error(`${endpoint} does not answer`));
  }

  close(): void {
    this.#closed = true;
    this.#agent.destroy();
  }

  /** A node that was restarted, or a token that grew old, asks for a new login: once. */
  async #authorized<Answer>(endpoint: string, ask: (token: string | null) => Promise<Answer>): Promise<Answer> {
    const { login } = this.#options;
    if (!login) return await ask(null);
    const known = this.#token;
    if (known !== null) {
      try {
        return await ask(known);
      } catch (error) {
        const { status, message } = error as EtcdError;
        if (status !== UNAUTHENTICATED && !TOKEN_TROUBLE.test(message)) throw error;
      }
    }
    const { token } = await this.#post<{ token: string }>(endpoint, LOGIN_PATH, { name: login.user, password: login.password }, null);
    this.#token = token;
    return await ask(token);
  }

  #post<Answer>(endpoint: string, path: string, body: object, token: string | null): Promise<Answer> {
    if (this.#closed) return Promise.reject(new EtcdError('unreachable', 'the store is closed'));
    return new Promise((resolve, reject) => {
      const request = this.#open(endpoint, path, token, true);
      const limitMs = path === LOGIN_PATH ? LOGIN_MS : this.#options.attemptMs;
      const fail = (error: Error): void => {
        clearTimeout(timer);
        request.destroy();
        reject(
          error instanceof EtcdError
            ? error
            : new EtcdError('unreachable', `${endpoint}: ${error.message || (error as NodeJS.ErrnoException).code}`, null, {
                cause: error,
              }),
        );
      };
      const timer = setTimeout(() => fail(new Error(`no answer within ${limitMs} ms`)), limitMs);
      request.on('error', fail);
      request.on('response', response => {
        readAll(response)
          .then(text => {
            clearTimeout(timer);
            resolve(answerOf(endpoint, response.statusCode ?? 0, text) as Answer);
          })
          .catch(fail);
      });
      request.end(JSON.stringify(body));
    });
  }

  #open(endpoint: string, path: string, token: string | null, pooled: boolean): ClientRequest {
    const url = new URL(`/v3/${path}`, endpoint);
    const secure = url.protocol === 'https:';
    // A node that has lost the others ends a stream, and refuses, rather than being silent.
    const headers = {
      'content-type': 'application/json',
      'grpc-metadata-hasleader': 'true',
      ...(token === null ? {} : { authorization: token }),
    };
    const options = { method: 'POST', headers, ...(pooled ? { agent: this.#agent } : { agent: false as const }) };
    return secure ? httpsRequest(url, { ...options, ...tlsOptions(this.#tls) }) : httpRequest(url, options);
  }
}

function tlsOptions(tls: EtcdTls | null): { ca?: string; cert?: string; key?: string; minVersion?: 'TLSv1.2' } {
  if (!tls) return {};
  return { ca: tls.ca, minVersion: 'TLSv1.2', ...(tls.cert !== null && tls.key !== null ? { cert: tls.cert, key: tls.key } : {}) };
}

function answerOf(endpoint: string, httpStatus: number, text: string): unknown {
  let answer: { error?: string; message?: string; code?: number };
  try {
    answer = JSON.parse(text) as typeof answer;
  } catch {
    throw new EtcdError('unreachable', `${endpoint} answered ${httpStatus} with no JSON`);
  }
  if (httpStatus === 200) return answer;
  const message = answer.message ?? answer.error ?? `HTTP status ${httpStatus}`;
  const status = answer.code ?? null;
  throw new EtcdError(status !== null && FINAL.has(status) ? 'refused' : 'unreachable', `${endpoint}: ${message}`, status);
}

async function readAll(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > ANSWER_LIMIT_BYTES) throw new Error(`an answer of more than ${ANSWER_LIMIT_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** One JSON document a line. */
function readLines(response: IncomingMessage, onLine: (line: unknown) => void, onEnd: (error: Error) => void): void {
  let rest = '';
  response.setEncoding('utf8');
  response.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    try {
      if (rest.length > ANSWER_LIMIT_BYTES) throw new Error(`a line of more than ${ANSWER_LIMIT_BYTES} bytes`);
      for (const line of lines) if (line !== '') onLine(JSON.parse(line));
    } catch (error) {
      onEnd(error as Error);
    }
  });
  response.on('error', onEnd);
  response.on('close', () => onEnd(new Error('etcd ended the stream')));
}
