import type { ClusterEvent } from '@understudy/core/cluster';
import type {
  ErrorAnswer,
  HistoryAnswer,
  PlanAnswer,
  SamplesAnswer,
  StatementSample,
  StatusDocument,
  TourDocument,
} from '../../../server/src/api/types.ts';
import { type Operation, planPathOf, requestOf } from './operation.ts';
import { type SseMessage, SseParser } from './sse.ts';

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

export async function fetchSamples(): Promise<SamplesAnswer> {
  return (await ask('samples')) as SamplesAnswer;
}

export async function fetchPlan(operation: Operation): Promise<PlanAnswer> {
  return (await ask(planPathOf(operation))) as PlanAnswer;
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
  return await readStream(`events?limit=${EVENTS_BEFORE}`, headers, silence, messages => {
    const events = messages.filter(message => message.id !== null);
    if (events.length > 0) onEvents(events.map(message => JSON.parse(message.data) as ClusterEvent));
  });
}

/** Samples of what the router routes, until the signal or the connection ends it, by throwing. */
export async function readStatements(token: string, signal: AbortSignal, onSample: (sample: StatementSample) => void): Promise<never> {
  const silence = new AbortController();
  signal.addEventListener('abort', () => silence.abort(), { once: true });
  const headers = { accept: 'text/event-stream', authorization: `Bearer ${token}` };
  return await readStream('statements', headers, silence, messages => {
    for (const { data } of messages) onSample(JSON.parse(data) as StatementSample);
  });
}

export async function fetchTour(): Promise<TourDocument> {
  return (await ask('tour')) as TourDocument;
}

/** Begins, plays or ends; the answer comes when it is done. */
export async function askTour(method: 'POST' | 'DELETE', path: string, token: string): Promise<void> {
  await answerOf(await send(path, { method, headers: { authorization: `Bearer ${token}` } }));
}

async function readStream(
  path: string,
  headers: Readonly<Record<string, string>>,
  silence: AbortController,
  onMessages: (messages: readonly SseMessage[]) => void,
): Promise<never> {
  const response = await send(path, { headers, signal: silence.signal });
  if (!response.ok || response.body === null) await answerOf(response);
  const [parser, decoder, reader] = [new SseParser(), new TextDecoder(), response.body!.getReader()];
  for (;;) {
    const timer = setTimeout(() => silence.abort(), SILENCE_MAX_MS);
    const { done, value } = await reader.read().finally(() => clearTimeout(timer));
    if (done) throw new ApiError(0, 'stream-ended', 'the stream ended', '');
    onMessages(parser.push(decoder.decode(value, { stream: true })));
  }
}

async function ask(path: string): Promise<unknown> {
  return await answerOf(await send(path, { signal: AbortSignal.timeout(ANSWER_MAX_MS) }));
}

async function send(path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(path, init);
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
