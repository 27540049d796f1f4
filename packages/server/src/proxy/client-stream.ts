import type { Socket } from 'node:net';
import { backend } from '@understudy/wire';
import { ByteSink } from './byte-sink.ts';

/** What goes to one client: bytes, and what it was told of the server's settings. */
export class ClientStream {
  readonly #sink: ByteSink;
  readonly #told = new Map<string, string>();

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

  /**
   * Tells the settings that a server reports, where they differ from what the client knows. A client of the proxy can always write, so it never hears of
   * a standby. `own` are names that the session has set itself.
   */
  tellSettings(parameters: ReadonlyMap<string, string>, own: ReadonlyMap<string, string>): void {
    for (const [name, reported] of parameters) {
      const value = name === 'in_hot_standby' ? 'off' : reported;
      if (own.has(name.toLowerCase()) || !this.isNews(name, value)) continue;
      this.#sink.add(backend.parameterStatus(name, value));
    }
  }

  /** Notes what the client is told; false when it knows that already. */
  isNews(name: string, value: string): boolean {
    if (this.#told.get(name) === value) return false;
    this.#told.set(name, value);
    return true;
  }
}
