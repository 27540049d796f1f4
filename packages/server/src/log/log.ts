import { type EventDraft, levelOf, LOG_LEVELS, type LogLevel } from '@understudy/core/cluster';
import { redacted } from './redact.ts';

/** `pretty`: for eyes; `json`: one object a line, for programs; `auto`: pretty on a terminal, else json. */
export type LogFormat = 'auto' | 'pretty' | 'json';

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Who speaks: `supervisor`, `member n1`, `proxy p1`. */
  readonly name: string;
}

/** Where the lines go. */
export interface LogSink {
  readonly isTty: boolean;
  readonly write: (text: string) => void;
  /** How a person is told of an event: the line of `understudy events`. */
  readonly eventLine: (event: EventDraft) => string;
}

/**
 * The log of a process of ours: what it says, and the cluster's events. Nothing is loaded for it and nothing is queued, so that it costs a start
 * nothing; a line is written before the call returns, as far as the stream takes it.
 */
export class Log {
  readonly #options: LogOptions;
  readonly #sink: LogSink;
  readonly #json: boolean;

  constructor(options: LogOptions, sink: LogSink) {
    this.#options = options;
    this.#sink = sink;
    this.#json = options.format === 'json' || (options.format === 'auto' && !sink.isTty);
  }

  info(message: string): void {
    this.#say('info', message);
  }

  warn(message: string): void {
    this.#say('warn', message);
  }

  event(event: EventDraft): void {
    const level = levelOf(event.kind);
    if (!this.#isHeard(level)) return;
    if (!this.#json) return this.#sink.write(`${redacted(this.#sink.eventLine(event))}\n`);
    const { atMs, kind, member, term, message, inputs } = event;
    this.#line(atMs, level, { kind, member, term, message, inputs });
  }

  #say(level: LogLevel, message: string): void {
    if (!this.#isHeard(level)) return;
    if (this.#json) this.#line(Date.now(), level, { message });
    else this.#sink.write(`${redacted(message)}\n`);
  }

  #isHeard(level: LogLevel): boolean {
    return LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(this.#options.level);
  }

  /** Strings are cleaned one by one: the line as a whole must stay JSON. */
  #line(atMs: number, level: LogLevel, fields: Readonly<Record<string, unknown>>): void {
    const record = { time: new Date(atMs).toISOString(), level, name: this.#options.name, ...fields };
    const clean = (_key: string, value: unknown): unknown => (typeof value === 'string' ? redacted(value) : value);
    this.#sink.write(`${JSON.stringify(record, clean)}\n`);
  }
}
