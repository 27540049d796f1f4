import { ERRORS, type ClusterEvent, type ErrorCode, UnderstudyError } from '@understudy/core/cluster';
import type { OperationResult } from '../api/facade.ts';
import type { ErrorAnswer, EventsAnswer, PlanAnswer, StatusDocument, TourChapter, TourDocument, UrlAnswer } from '../api/types.ts';
import { messageOf } from './failure.ts';
import { type Fetch, type FetchInit, fetchTrusting } from './https-fetch.ts';

export type UrlRole = 'router' | 'primary' | 'replica';

/** Questions are answered from memory; whatever takes longer than this hangs. */
const QUESTION_TIMEOUT_MS = 5000;
/** The answer to an operation comes this much after its own deadline at the latest. */
const OPERATION_GRACE_MS = 5000;

/** One HTTP API, asked with or without its token. Every failure is an UnderstudyError. */
export class ApiClient {
  readonly url: string;
  readonly #token: string | null;

  readonly #fetch: Fetch;

  /** `ca`: the authority, in PEM, whose certificate it must show; null: one that the system trusts. */
  constructor(url: string, token: string | null, ca: string | null = null) {
    this.url = url.replace(/\/+$/, '');
    this.#token = token;
    this.#fetch = ca === null ? fetch : fetchTrusting(ca);
  }

  async status(): Promise<StatusDocument> {
    return (await this.#question('/status')) as StatusDocument;
  }

  async connectionUrl(role: UrlRole): Promise<string> {
    return ((await this.#question(`/url?role=${role}`)) as UrlAnswer).url;
  }

  async events(afterId: number, limit: number): Promise<readonly ClusterEvent[]> {
    return ((await this.#question(`/events?after=${afterId}&limit=${limit}`)) as EventsAnswer).events;
  }

  async plan(query: Readonly<Record<string, string>>): Promise<PlanAnswer> {
    return (await this.#question(`/plan?${new URLSearchParams(query)}`)) as PlanAnswer;
  }

  async tour(): Promise<TourDocument> {
    return (await this.#question('/tour')) as TourDocument;
  }

  /** Plays it to its end. */
  async playChapter(id: string, timeoutMs: number): Promise<TourChapter> {
    const path = `/tour/chapters/${encodeURIComponent(id)}`;
    const answer = await this.#ask(path, { method: 'POST', signal: AbortSignal.timeout(timeoutMs) });
    return (await answer.json()) as TourChapter;
  }

  /** Performs an operation and waits for its outcome. */
  async operate(
    method: 'POST' | 'DELETE',
    path: string,
    body: Readonly<Record<string, unknown>>,
    timeoutMs: number,
  ): Promise<OperationResult> {
    return (await this.#ask(path, {
      method,
      body: JSON.stringify({ ...body, timeoutMs }),
      headers: { 'content-type': 'application/json' },
      signal: AbortSignal.timeout(timeoutMs + OPERATION_GRACE_MS),
    }).then(answer => answer.json())) as OperationResult;
  }

  /** The body of the event stream behind `afterId`; ends when the connection does. */
  async eventStream(afterId: number, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const answer = await this.#ask(`/events?after=${afterId}`, { headers: { accept: 'text/event-stream' }, signal });
    return answer.body!;
  }

  async #question(path: string): Promise<unknown> {
    const answer = await this.#ask(path, { signal: AbortSignal.timeout(QUESTION_TIMEOUT_MS) });
    return await answer.json();
  }

  async #ask(path: string, init: Omit<FetchInit, 'headers'> & Partial<FetchInit>): Promise<Response> {
    const authorization: Record<string, string> = this.#token === null ? {} : { authorization: `Bearer ${this.#token}` };
    let answer: Response;
    try {
      answer = await this.#fetch(`${this.url}${path}`, { ...init, headers: { ...init.headers, ...authorization } });
    } catch (error) {
      if (isDistrust(error)) throw new UnderstudyError('api-untrusted', { url: this.url, why: reasonOf(error) }, { cause: error });
      throw new UnderstudyError('api-unreachable', { url: this.url, why: reasonOf(error) }, { cause: error });
    }
    if (answer.ok) return answer;
    throw await refusalOf(answer);
  }
}

/** Why a certificate is refused: OpenSSL's reasons, as Node.js has them. */
const DISTRUST = /^(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_.*|CERT_.*|ERR_TLS_CERT_ALTNAME_INVALID)$/;

function isDistrust(error: unknown): boolean {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return DISTRUST.test((cause as NodeJS.ErrnoException).code ?? '');
}

/** fetch says only "fetch failed"; the reason is below it. */
function reasonOf(error: unknown): string {
  if (error instanceof Error && error.name === 'TimeoutError') return 'no answer in time';
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return messageOf(cause) || (cause as NodeJS.ErrnoException).code || 'no connection';
}

async function refusalOf(answer: Response): Promise<UnderstudyError> {
  const body = (await answer.json().catch(() => null)) as Partial<ErrorAnswer> | null;
  const error = body?.error;
  if (error && Object.hasOwn(ERRORS, error.code)) return new UnderstudyError(error.code as ErrorCode, error.details);
  return new UnderstudyError('api-refused', { why: `HTTP status ${answer.status}` });
}
