import type { ClusterEvent } from '@understudy/core/cluster';
import type { ErrorAnswer, HistoryAnswer, PlanAnswer, StatusDocument } from '../../../server/src/api/types.ts';
import { type Operation, planPathOf, requestOf } from './operation.ts';
import { SseParser } from './sse.ts';

/** Why a request failed, in the words of the API's catalogue of errors. */
export class ApiError extends Error {
  /** 0 when there was no answer at all. */
  readonly status: number;
  readonly code: string;
  /** What the reader can do about it; may be empty. */
  readonly action: string;

  constructor(status: number, code: string, message: string, action: string) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.code = code;
    this.action = action;
  }
}

/** What an operation led to. */
export interface OperationOutcome {
  readonly message: string;
}

/** How long an answer to a question is waited for. Operations wait as long as the API does. */
const ANSWER_MAX_MS = 5000;
/** The stream says something at least every 15 s; after so much silence it is taken for dead. */
const SILENCE_MAX_MS = 40_000;
/** How many of the events before now are asked for. */
const EVENTS_BEFORE = 1000;

export async function fetchStatus(): Promise<StatusDocument> {
  return (await ask('status')) as StatusDocument;
}

export async function fetchHistory(): Promise<HistoryAnswer> {
  return (await ask('history')) as HistoryAnswer;
}

/** Null when the operation does the same in every state of the cluster. */
export async function fetchPlan(operation: Operation): Promise<PlanAnswer | null> {
  const path = planPathOf(operation);
  return path === null ? null : ((await ask(path)) as PlanAnswer);
}

export async function perform(operation: Operation, token: string): Promise<OperationOutcome> {
  const { method, path, body } = requestOf(operation);
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  return (await answerOf(await send(path, { method, headers, body: JSON.stringify(body) }))) as OperationOutcome;
}

/**
 * Events behind `afterId`, as they happen; null begins with the newest that are kept. Ends when the connection does, by
 * throwing.
 */
export async function readEvents(afterId: number | null, onEvents: (events: readonly ClusterEvent[]) => void): Promise<never> {
  const silence = new AbortController();
  const headers: Record<string, string> = { accept: 'text/event-stream' };
  if (afterId !== null) headers['last-event-id'] = String(afterId);
  const response = await send(`events?limit=${EVENTS_BEFORE}`, { headers, signal: silence.signal });
  if (!response.ok || response.body === null) await answerOf(response);
  const [parser, decoder, reader] = [new SseParser(), new TextDecoder(), response.body!.getReader()];
  for (;;) {
    const timer = setTimeout(() => silence.abort(), SILENCE_MAX_MS);
    const { done, value } = await reader.read().finally(() => clearTimeout(timer));
    if (done) throw new ApiError(0, 'stream-ended', 'the event stream ended', '');
    const events = parser.push(decoder.decode(value, { stream: true })).filter(message => message.id !== null);
    if (events.length > 0) onEvents(events.map(message => JSON.parse(message.data) as ClusterEvent));
  }
}

async function ask(path: string): Promise<unknown> {
  return await answerOf(await send(path, { signal: AbortSignal.timeout(ANSWER_MAX_MS) }));
}

async function send(path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(path, { cache: 'no-store', ...init });
  } catch (error) {
    const why = error instanceof DOMException && error.name === 'TimeoutError' ? 'no answer in time' : 'no connection';
    throw new ApiError(0, 'no-contact', why, 'Is the cluster running? See `understudy status`.');
  }
}

async function answerOf(response: Response): Promise<unknown> {
  const answer: unknown = await response.json().catch(() => null);
  if (response.ok) return answer;
  const { error } = (answer ?? {}) as Partial<ErrorAnswer>;
  throw new ApiError(
    response.status,
    error?.code ?? 'http',
    error?.message ?? `The server answered ${response.status}.`,
    error?.action ?? '',
  );
}
