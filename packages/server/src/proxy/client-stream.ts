import type { Socket } from 'node:net';
import { backend } from '@understudy/wire';
import { ByteSink } from './byte-sink.ts';
import { NOTHING_REPORTED, type Reported, reportedParameters } from './reported.ts';

/** What goes to one client: bytes, and what it was told of the server's settings. */
export class ClientStream {
  readonly #sink: ByteSink;
  #told: Reported = NOTHING_REPORTED;

  constructor(socket: Socket) {
    this.#sink = new ByteSink(socket);
  }

  add(part: Buffer): void {
    this.#sink.add(part);
  }

  range(chunk: Buffer, start: number, end: number): void {
    this.#sink.range(chunk, start, end);
  }

  /** False when the client takes no more: its servers must be paused until it does. */
  flush(): boolean {
    return this.#sink.flush();
  }

  /** Tells the settings that a server reports, where they differ from what the client knows. */
  tellSettings(parameters: Reported): void {
    if (parameters === this.#told) return;
    for (const [name, value] of parameters) if (this.#told.get(name) !== value) this.#sink.add(backend.parameterStatus(name, value));
    this.#told = parameters;
  }

  /** Notes what the client is told; false when it knows that already. */
  isNews(name: string, value: string): boolean {
    if (this.#told.get(name) === value) return false;
    this.#told = reportedParameters(this.#told, [[name, value]]);
    return true;
  }
}
