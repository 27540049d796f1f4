import type { Lsn } from '@understudy/core/cluster';
import { probeSent, type ReplicaState, type RoutableServer } from '@understudy/core/routing';
import { Monitor, type Replay } from './monitor.ts';
import type { ProxyOptions } from './options.ts';

/** Between two questions while somebody waits for the replica. Nobody waits for a replica that is paused, or does not answer. */
const FAST_POLL_MS = 1;
/** The longest wait that is left to the replica itself. */
const WAIT_ON_REPLICA_MS = 50;

export interface PollHost {
  /** The least demanding position that somebody waits for; null when nobody does. */
  readonly wantedLsn: Lsn | null;
  /** `timeline`: the one that the replica was known to follow when it was asked. */
  onReplay(state: ReplicaState, probe: number, timeline: number, replay: Replay): void;
}

/** Asks one replica how far it is: one question at a time; again and again while somebody waits, else when it is told to. */
export class ReplicaPoll {
  readonly state: ReplicaState;
  readonly #monitor: Monitor;
  readonly #host: PollHost;
  #asking = false;
  #ended = false;

  constructor(state: ReplicaState, options: ProxyOptions, host: PollHost) {
    this.state = state;
    this.#monitor = new Monitor(state.server, options);
    this.#host = host;
  }

  get server(): RoutableServer {
    return this.#monitor.server;
  }

  async ask(): Promise<void> {
    if (this.#asking || this.#ended) return;
    this.#asking = true;
    const replay = await this.#ask().catch(() => null);
    this.#asking = false;
    if (this.#ended) return;
    // A replica that restarts may have replayed less than it had before: what is known of it is void.
    if (replay === null) this.state.observedAtMs = Number.NEGATIVE_INFINITY;
    else if (!replay.paused && this.#host.wantedLsn !== null) setTimeout(() => this.#askFor(this.#host.wantedLsn), FAST_POLL_MS);
  }

  end(): void {
    this.#ended = true;
    this.#monitor.end();
  }

  #askFor(wanted: Lsn | null): void {
    if (wanted !== null) void this.ask();
  }

  async #ask(): Promise<Replay | null> {
    const { wantedLsn } = this.#host;
    if (wantedLsn !== null) await this.#monitor.waitForReplay(wantedLsn, WAIT_ON_REPLICA_MS);
    const probe = probeSent(this.state.probes);
    // A replica only ever moves on to a newer timeline, so that the one it was known to follow before the question is never too new for the answer.
    const { timeline } = this.state.server;
    const replay = await this.#monitor.replay();
    if (replay !== null && !this.#ended) this.#host.onReplay(this.state, probe, timeline, replay);
    return replay;
  }
}
