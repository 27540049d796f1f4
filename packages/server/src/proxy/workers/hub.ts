import { Worker } from 'node:worker_threads';
import { programUrl } from '../../program-url.ts';
import { channel, type Link } from '../../store/link.ts';
import { RemoteStore } from '../../store/remote.ts';
import { serveStore } from '../../store/serve.ts';
import type { Begin, FromProxy, ToProxy } from '../messages.ts';
import { type ProxyOptions, shareOf } from '../options.ts';
import { SharedCommits } from '../shared-commits.ts';
import { ListeningSocket } from './listening-socket.ts';
import { DrainMerge, EventMerge, StatsMerge } from './merge.ts';
import { portLink } from './port-link.ts';
import { Questions } from './questions.ts';
import { SharedCounts } from './shared-counts.ts';
import type { FromHub, ThreadStart, ToHub } from './thread-place.ts';

const STATS_INTERVAL_MS = 500;
const FIRST_RESTART_MS = 100;
const LAST_RESTART_MS = 5_000;
/** A worker that lived this long is not taken for one that cannot start. */
const SETTLED_MS = 10_000;
/** For a message to leave the process before it ends. */
const LAST_WORDS_MS = 50;

interface Running {
  readonly thread: Worker;
  readonly control: Link;
  readonly peers: Link;
  readonly startedAtMs: number;
  listening: boolean;
  /** Why it cannot serve, in its own words. */
  failure: string | null;
}

export interface HubRequest {
  readonly begin: Begin;
  readonly link: Link;
  /** How many workers. */
  readonly slots: number;
  /** What a thread runs. */
  readonly program: URL;
  /** Ends this process. */
  readonly exit: (code: number) => void;
}

/**
 * Several workers as one proxy: each is a thread that speaks to the hub as a proxy's process speaks to its supervisor. The hub starts them, again when one
 * dies, makes one voice of theirs, and carries what they ask each other. Clients and servers never pass through it.
 */
export class WorkerHub {
  readonly #begin: Begin;
  readonly #program: URL;
  readonly #exit: (code: number) => void;
  readonly #control: Link;
  readonly #store: RemoteStore;
  readonly #slots: number;
  readonly #commits: SharedArrayBuffer = SharedCommits.memory();
  readonly #counts: SharedArrayBuffer;
  readonly #workers = new Map<number, Running>();
  readonly #stats = new StatsMerge();
  readonly #events = new EventMerge();
  readonly #drains = new DrainMerge(() => [...this.#workers.keys()]);
  readonly #questions = new Questions();
  readonly #restartMs = new Map<number, number>();
  #socket: ListeningSocket | null = null;
  #reporting: NodeJS.Timeout | undefined;
  #options: ProxyOptions;
  #watched = false;
  #announced = false;
  #stopping = false;

  constructor({ begin, link, slots, program, exit }: HubRequest) {
    this.#begin = begin;
    this.#options = begin.options;
    this.#slots = slots;
    this.#program = program;
    this.#exit = exit;
    this.#counts = SharedCounts.memory(slots);
    this.#control = channel(link, 'control');
    this.#store = new RemoteStore(channel(link, 'store'));
    this.#control.onMessage(message => this.#hear(message as ToProxy));
    link.onClose(() => exit(0));
  }

  async start(): Promise<void> {
    const { host, port } = this.#options;
    const { listenFd } = this.#begin;
    try {
      this.#socket = listenFd === null ? await ListeningSocket.bind(host, port) : ListeningSocket.adopt(listenFd);
      const descriptors = await this.#socket.descriptors(this.#slots);
      descriptors.forEach((fd, slot) => this.#startWorker(slot, fd));
      this.#reporting = setInterval(() => this.#tellStats(), STATS_INTERVAL_MS);
    } catch (error) {
      this.#giveUp((error as Error).message);
    }
  }

  /** Whoever started this process starts it again. */
  #giveUp(message: string): void {
    this.#stopping = true;
    this.#say({ kind: 'failed', message });
    setTimeout(() => this.#exit(1), LAST_WORDS_MS);
  }

  // ---- from the supervisor

  #hear(said: ToProxy): void {
    switch (said.kind) {
      case 'begin':
      case 'begin-asking':
        return;
      case 'reload':
        this.#options = said.options;
        return this.#tellAll({ kind: 'reload', options: shareOf(said.options, this.#slots) });
      case 'view-confirmed':
        return this.#tellAll(said);
      case 'watch':
        this.#watched = said.active;
        return this.#tellAll(said);
      case 'stop':
        this.#stopping = true;
        this.#tellAll(said);
        return this.#exitWhenStopped();
      default:
        said satisfies never;
    }
  }

  #tellAll(message: ToProxy): void {
    for (const { control } of this.#workers.values()) control.send(message);
  }

  #exitWhenStopped(): void {
    if (!this.#stopping || this.#workers.size > 0) return;
    clearInterval(this.#reporting);
    this.#socket?.close();
    this.#exit(0);
  }

  #say(message: FromProxy): void {
    this.#control.send(message);
  }

  #tellStats(): void {
    const stats = this.#stats.total;
    if (stats !== null) this.#say({ kind: 'stats', stats });
  }

  // ---- the workers' lives

  #startWorker(slot: number, listenFd: number): void {
    const begin: Begin = { ...this.#begin, options: shareOf(this.#options, this.#slots) };
    const start: ThreadStart = { begin, slot, slots: this.#slots, listenFd, commits: this.#commits, counts: this.#counts };
    const thread = new Worker(this.#program, { workerData: start, name: `worker ${slot + 1}` });
    const link = portLink(thread);
    const running: Running = {
      thread,
      control: channel(link, 'control'),
      peers: channel(link, 'peers'),
      startedAtMs: performance.now(),
      listening: false,
      failure: null,
    };
    this.#workers.set(slot, running);
    const unserve = serveStore(this.#store, channel(link, 'store'));
    running.control.onMessage(message => this.#hearWorker(slot, running, message as FromProxy));
    running.peers.onMessage(message => this.#carry(slot, message as ToHub));
    thread.on('error', error => {
      running.failure = error.message;
    });
    thread.once('exit', () => {
      unserve();
      this.#workers.delete(slot);
      this.#onEnded(slot, running);
    });
    if (this.#watched) running.control.send({ kind: 'watch', active: true } satisfies ToProxy);
  }

  #onEnded(slot: number, { startedAtMs, failure }: Running): void {
    new SharedCounts(this.#counts).set(slot, 0);
    this.#stats.gone(slot);
    this.#events.gone(slot);
    this.#questions.gone(slot);
    const drained = this.#drains.gone(slot);
    if (drained !== null) this.#say({ kind: 'drained', intentId: drained });
    if (this.#stopping) return this.#exitWhenStopped();
    const why = failure ?? 'it has ended';
    if (!this.#announced) return this.#giveUp(why);
    const waitMs = performance.now() - startedAtMs > SETTLED_MS ? FIRST_RESTART_MS : (this.#restartMs.get(slot) ?? FIRST_RESTART_MS);
    this.#restartMs.set(slot, Math.min(waitMs * 2, LAST_RESTART_MS));
    this.#warn(`Worker ${slot + 1} of the router ended (${why}); its clients are disconnected, and it is started again.`);
    setTimeout(() => void this.#restart(slot), waitMs);
  }

  async #restart(slot: number): Promise<void> {
    if (this.#stopping || this.#socket === null) return;
    try {
      const [fd] = await this.#socket.descriptors(1);
      if (!this.#stopping && fd !== undefined) this.#startWorker(slot, fd);
    } catch (error) {
      this.#giveUp((error as Error).message);
    }
  }

  #warn(message: string): void {
    this.#say({ kind: 'event', event: { kind: 'router-warning', message, member: null, term: null, atMs: Date.now(), inputs: {} } });
  }

  // ---- from a worker

  #hearWorker(slot: number, worker: Running, said: FromProxy): void {
    switch (said.kind) {
      case 'listening':
        worker.listening = true;
        if (this.#announced || this.#workers.size < this.#slots || ![...this.#workers.values()].every(w => w.listening)) return;
        this.#announced = true;
        return this.#say(said);
      case 'stats':
        return this.#stats.note(slot, said.stats);
      case 'statements':
        return this.#say(said);
      case 'event': {
        const event = this.#events.take(slot, said.event);
        if (event !== null) this.#say({ kind: 'event', event });
        return;
      }
      case 'drained':
        if (this.#drains.note(slot, said.intentId)) this.#say(said);
        return;
      case 'failed':
        worker.failure = said.message;
        return;
      case 'reload-failed':
        return this.#say(said);
      default:
        said satisfies never;
    }
  }

  /** Among the workers. */
  #carry(from: number, said: ToHub): void {
    switch (said.kind) {
      case 'ask': {
        const others = [...this.#workers.keys()].filter(slot => slot !== from && (said.slot === null || slot === said.slot));
        const put: Parameters<Questions['ask']>[2] = (slot, id, question) => this.#put(slot, { kind: 'asked', id, question });
        return this.#questions.ask(others, said.question, put, answers => this.#put(from, { kind: 'answers', id: said.id, answers }));
      }
      case 'answer':
        return this.#questions.answered(said.id, from, said.answer);
      case 'tell':
        for (const slot of this.#workers.keys()) if (slot !== from) this.#put(slot, { kind: 'told', news: said.news });
        return;
      default:
        said satisfies never;
    }
  }

  #put(slot: number, message: FromHub): void {
    this.#workers.get(slot)?.peers.send(message);
  }
}

export function threadProgram(): URL {
  return programUrl('proxy/workers/thread');
}
