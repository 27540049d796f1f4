import { otlpBody } from './otlp.ts';
import type { TraceSettings } from './settings.ts';
import type { Span } from './spans.ts';

/** Spans that wait to be sent; what comes when there are so many is dropped, and counted. */
const QUEUE_LIMIT = 2048;
const INTERVAL_MS = 1000;
const TIMEOUT_MS = 5000;

/** Sends spans to an OTLP receiver over HTTP, one request at a time. Traces are never worth waiting for: what cannot be sent is dropped. */
export class TraceExporter {
  readonly #settings: TraceSettings;
  readonly #version: string;
  readonly #warn: (message: string) => void;
  readonly #timer: NodeJS.Timeout;
  #queue: Span[] = [];
  #dropped = 0;
  #sending: Promise<void> | null = null;
  #works = true;

  constructor(settings: TraceSettings, version: string, warn: (message: string) => void) {
    this.#settings = settings;
    this.#version = version;
    this.#warn = warn;
    this.#timer = setInterval(() => void this.flush(), INTERVAL_MS).unref();
  }

  add(spans: readonly Span[]): void {
    const room = QUEUE_LIMIT - this.#queue.length;
    this.#queue.push(...spans.slice(0, room));
    this.#dropped += Math.max(0, spans.length - room);
  }

  /** Sends what there is. Never rejects. */
  async flush(): Promise<void> {
    await this.#sending;
    if (this.#queue.length === 0) return;
    const spans = this.#queue;
    this.#queue = [];
    this.#sending = this.#send(spans).finally(() => {
      this.#sending = null;
    });
    await this.#sending;
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
  }

  async #send(spans: readonly Span[]): Promise<void> {
    const { endpoint, headers, resource } = this.#settings;
    try {
      const answer = await fetch(endpoint, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json' },
        body: otlpBody(spans, resource, this.#version),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      await answer.arrayBuffer();
      if (!answer.ok) throw new Error(`it answers ${answer.status}`);
      if (!this.#works) this.#warn(`Traces are sent again; ${this.#dropped} spans were dropped meanwhile.`);
      this.#works = true;
      this.#dropped = 0;
    } catch (error) {
      this.#dropped += spans.length;
      if (this.#works) this.#warn(`Traces cannot be sent: ${(error as Error).message}`);
      this.#works = false;
    }
  }
}
