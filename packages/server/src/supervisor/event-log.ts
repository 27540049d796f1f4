import { appendFileSync, readFileSync, renameSync, statSync } from 'node:fs';
import { type ClusterEvent, type ClusterState, type EventDraft, eventsOfChange } from '@understudy/core/cluster';
import { tellAll } from '../store/listeners.ts';

/** Events kept in memory for `understudy events` and for clients that resume. */
const MEMORY_LIMIT = 2000;
/** The file is set aside (one generation) at this size. */
const FILE_LIMIT_BYTES = 8 * 1024 * 1024;

/** The cluster's events: numbered, kept in a bounded ring and in a file, and told to whoever listens. */
export class EventLog {
  readonly #path: string;
  readonly #share: (event: EventDraft) => void;
  readonly #listeners = new Set<(event: ClusterEvent) => void>();
  readonly #ring: ClusterEvent[];
  #nextId: number;
  /** The file may end within a line: a crash or a full disk cut it off. */
  #cutOff: boolean;

  /** `share` is given what happened here, for the logs of other machines. */
  constructor(path: string, share: (event: EventDraft) => void = () => undefined) {
    this.#share = share;
    const text = textOf(path);
    this.#path = path;
    this.#cutOff = text !== '' && !text.endsWith('\n');
    this.#ring = [...eventsIn(textOf(setAside(path))), ...eventsIn(text)].slice(-MEMORY_LIMIT);
    this.#nextId = (this.#ring.at(-1)?.id ?? 0) + 1;
  }

  append(draft: EventDraft): ClusterEvent {
    this.#share(draft);
    return this.hear(draft);
  }

  /** Something that happened elsewhere. */
  hear(draft: EventDraft): ClusterEvent {
    const event: ClusterEvent = { id: this.#nextId++, ...draft };
    this.#ring.push(event);
    if (this.#ring.length > MEMORY_LIMIT) this.#ring.shift();
    this.#write(event);
    tellAll(this.#listeners, listener => listener(event));
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
      if ((statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0) > FILE_LIMIT_BYTES) renameSync(this.#path, setAside(this.#path));
      const line = `${this.#cutOff ? '\n' : ''}${JSON.stringify(event)}\n`;
      this.#cutOff = true;
      appendFileSync(this.#path, line, { mode: 0o600 });
      this.#cutOff = false;
    } catch (error) {
      process.stderr.write(`the event log cannot be written: ${(error as Error).message}\n`);
    }
  }
}

/** The one older generation. */
function setAside(path: string): string {
  return `${path}.1`;
}

/** A log that cannot be read must not stop a cluster from starting. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function eventsIn(text: string): readonly ClusterEvent[] {
  return text
    .split('\n')
    .slice(-MEMORY_LIMIT - 1)
    .flatMap(line => eventOf(line) ?? []);
}

/** Null for a line that was cut off. */
function eventOf(line: string): ClusterEvent | null {
  try {
    const event = JSON.parse(line) as Partial<ClusterEvent> | null;
    return typeof event?.id === 'number' && typeof event.kind === 'string' ? (event as ClusterEvent) : null;
  } catch {
    return null;
  }
}
