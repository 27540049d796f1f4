import { appendFileSync, existsSync, readFileSync, renameSync, statSync } from 'node:fs';
import { type ClusterEvent, type ClusterState, type EventDraft, eventsOfChange } from '@understudy/core/cluster';

/** Events kept in memory for `understudy events` and for clients that resume. */
const MEMORY_LIMIT = 2000;
/** The file is set aside (one generation) at this size. */
const FILE_LIMIT_BYTES = 8 * 1024 * 1024;

/** The cluster's events: numbered, kept in a bounded ring and in a file, and told to whoever listens. */
export class EventLog {
  readonly #path: string;
  readonly #listeners = new Set<(event: ClusterEvent) => void>();
  readonly #ring: ClusterEvent[];
  #nextId: number;

  constructor(path: string) {
    this.#path = path;
    this.#ring = readTail(path);
    this.#nextId = (this.#ring.at(-1)?.id ?? 0) + 1;
  }

  append(draft: EventDraft): ClusterEvent {
    const event: ClusterEvent = { id: this.#nextId++, ...draft };
    this.#ring.push(event);
    if (this.#ring.length > MEMORY_LIMIT) this.#ring.shift();
    this.#write(event);
    for (const listener of this.#listeners) listener(event);
    return event;
  }

  /** Tells a change of the store that an operator made. */
  appendChange(before: ClusterState, after: ClusterState, reason: string): void {
    for (const event of eventsOfChange(before, after, { by: null, atMs: Date.now(), reason, inputs: {} })) this.append(event);
  }

  after(id: number, limit: number): readonly ClusterEvent[] {
    const later = this.#ring.filter(event => event.id > id);
    return later.slice(Math.max(0, later.length - limit));
  }

  subscribe(listener: (event: ClusterEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A log that cannot be written must not stop a failover: the ring still has the event. */
  #write(event: ClusterEvent): void {
    try {
      if (existsSync(this.#path) && statSync(this.#path).size > FILE_LIMIT_BYTES) renameSync(this.#path, `${this.#path}.1`);
      appendFileSync(this.#path, `${JSON.stringify(event)}\n`, { mode: 0o600 });
    } catch (error) {
      process.stderr.write(`the event log cannot be written: ${(error as Error).message}\n`);
    }
  }
}

/** The newest events of the file; a line that was cut off by a crash is left out. */
function readTail(path: string): ClusterEvent[] {
  if (!existsSync(path)) return [];
  const events: ClusterEvent[] = [];
  for (const line of readFileSync(path, 'utf8')
    .split('\n')
    .slice(-MEMORY_LIMIT - 1)) {
    try {
      if (line) events.push(JSON.parse(line) as ClusterEvent);
    } catch {
      // The last line of a process that was killed while writing.
    }
  }
  return events;
}
