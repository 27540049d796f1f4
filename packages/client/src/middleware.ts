import type { Session } from './session.ts';

/** Who makes sessions: a pool. */
export interface SessionMaker {
  session(token?: string | null): Session;
}

/** How a token travels between requests. */
export interface TokenOptions {
  /** Name of the cookie, or null for none. Default `understudy`. */
  readonly cookie?: string | null;
  /** Name of the header, in requests and answers. Default `x-understudy-token`. */
  readonly header?: string;
  /** Seconds that the cookie lives: after that every replica has what it stands for. Default 60. */
  readonly maxAgeSeconds?: number;
}

interface Carrier {
  readonly cookie: string | null;
  readonly header: string;
  readonly maxAgeSeconds: number;
}

function carrierOf({ cookie = 'understudy', header = 'x-understudy-token', maxAgeSeconds = 60 }: TokenOptions): Carrier {
  return { cookie, header: header.toLowerCase(), maxAgeSeconds };
}

/** The token of a request; the header counts before the cookie. */
function tokenOf(header: (name: string) => string | null | undefined, carrier: Carrier): string | null {
  const given = header(carrier.header);
  if (given) return given;
  if (carrier.cookie === null) return null;
  for (const part of (header('cookie') ?? '').split(';')) {
    const at = part.indexOf('=');
    if (at > 0 && part.slice(0, at).trim() === carrier.cookie) return safelyDecoded(part.slice(at + 1).trim());
  }
  return null;
}

/** What came from outside may be anything. */
function safelyDecoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

function cookieOf(token: string, { cookie, maxAgeSeconds }: Carrier): string {
  return `${cookie}=${encodeURIComponent(token)}; Path=/; Max-Age=${maxAgeSeconds}; HttpOnly; SameSite=Lax`;
}

/** The parts of Node's answers that are used. */
interface NodeResponse {
  headersSent: boolean;
  writeHead(...args: unknown[]): unknown;
  getHeader(name: string): unknown;
  setHeader(name: string, value: string | readonly string[]): unknown;
}

interface NodeRequest {
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

/**
 * For Express, Connect and bare `node:http`: each request is a session, begun with the token that the request brings; its answer carries the token of what
 * the session has seen.
 */
export function expressSessions(
  pool: SessionMaker,
  options: TokenOptions = {},
): (request: NodeRequest, response: NodeResponse, next: () => void) => void {
  const carrier = carrierOf(options);
  return (request, response, next) => {
    const session = pool.session(tokenOf(name => single(request.headers[name]), carrier));
    tellBeforeHead(response, session, carrier);
    session.run(next);
  };
}

/** Headers can be set until they are written, which the handler does at a time of its own. */
function tellBeforeHead(response: NodeResponse, session: Session, carrier: Carrier): void {
  const writeHead = response.writeHead;
  response.writeHead = (...args: unknown[]): unknown => {
    response.writeHead = writeHead;
    const { token } = session;
    if (token !== null && !response.headersSent) {
      response.setHeader(carrier.header, token);
      if (carrier.cookie !== null) {
        const before = response.getHeader('set-cookie') ?? [];
        const others = (Array.isArray(before) ? before : [before]).map(String);
        response.setHeader('set-cookie', [...others, cookieOf(token, carrier)]);
      }
    }
    return Reflect.apply(writeHead, response, args);
  };
}

function single(value: string | readonly string[] | undefined): string | null {
  return typeof value === 'string' ? value : (value?.[0] ?? null);
}

/** The parts of a Fastify instance that are used. */
interface FastifyLike {
  addHook(
    name: 'onRequest',
    hook: (request: { readonly raw: NodeRequest }, reply: { readonly raw: NodeResponse }, done: () => void) => void,
  ): unknown;
}

/** For Fastify: `fastifySessions(app, pool)` before the routes. */
export function fastifySessions(app: FastifyLike, pool: SessionMaker, options: TokenOptions = {}): void {
  const middleware = expressSessions(pool, options);
  app.addHook('onRequest', (request, reply, done) => middleware(request.raw, reply.raw, done));
}

/** The parts of a Hono context that are used. */
interface HonoContext {
  readonly req: { header(name: string): string | undefined };
  header(name: string, value: string, options?: { append?: boolean }): void;
}

/** For Hono: `app.use(honoSessions(pool))`. */
export function honoSessions(
  pool: SessionMaker,
  options: TokenOptions = {},
): (context: HonoContext, next: () => Promise<void>) => Promise<void> {
  const carrier = carrierOf(options);
  return async (context, next) => {
    const session = pool.session(tokenOf(name => context.req.header(name), carrier));
    await session.run(next);
    const token = await session.settledToken();
    if (token === null) return;
    context.header(carrier.header, token);
    if (carrier.cookie !== null) context.header('set-cookie', cookieOf(token, carrier), { append: true });
  };
}

/** For handlers of the web's own Request and Response: Next.js route handlers, SvelteKit, Remix, Bun, Deno. */
export function withSession<R extends Request, A extends unknown[]>(
  pool: SessionMaker,
  handler: (request: R, ...rest: A) => Response | Promise<Response>,
  options: TokenOptions = {},
): (request: R, ...rest: A) => Promise<Response> {
  const carrier = carrierOf(options);
  return async (request, ...rest) => {
    const session = pool.session(tokenOf(name => request.headers.get(name), carrier));
    const answer = await session.run(async () => handler(request, ...rest));
    const token = await session.settledToken();
    if (token === null) return answer;
    // Headers of an answer that was made elsewhere, such as a redirect, cannot be changed.
    const headers = new Headers(answer.headers);
    headers.set(carrier.header, token);
    if (carrier.cookie !== null) headers.append('set-cookie', cookieOf(token, carrier));
    return new Response(answer.body, { status: answer.status, statusText: answer.statusText, headers });
  };
}

/** A job's payload, with what its maker had seen. */
export interface JobPayload<T> {
  readonly data: T;
  readonly understudyToken: string | null;
}

/** Packs a payload for a queue, so that the worker sees at least what the session has seen. */
export async function jobPayload<T>(session: Session, data: T): Promise<JobPayload<T>> {
  return { data, understudyToken: await session.settledToken() };
}

/** Runs one job as a session of its own, which ends with the job. */
export function runJob<T, R>(pool: SessionMaker, payload: JobPayload<T>, work: (data: T, session: Session) => Promise<R>): Promise<R> {
  const session = pool.session(payload.understudyToken);
  return session.run(() => work(payload.data, session));
}
