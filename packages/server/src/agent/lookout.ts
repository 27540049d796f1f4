import { connect } from 'node:net';
import type { FailoverConfig, MemberId, MemberSpec, Sight } from '@understudy/core/cluster';
import { type AttemptOutcome, type Attempts, lookoutTimes, noteAttempt, sightOf } from '@understudy/core/failover';

/** Nothing came back from the machine, or there is no way to it. */
const LOST: ReadonlySet<string | undefined> = new Set(['ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'ENETDOWN']);
/** A name that takes longer than this many attempts to be resolved tells nothing of the machine. */
const RESOLVE_LIMITS = 4;

/**
 * Whom this member reaches, found out by connecting to the others' servers for as long as somebody does not hear the primary (lookoutFor). A machine that
 * is only busy still answers: its kernel does.
 */
export class Lookout {
  readonly #config: FailoverConfig;
  readonly #onNews: () => void;
  #targets: readonly MemberSpec[] = [];
  #attempts = new Map<MemberId, Attempts>();
  #timer: NodeJS.Timeout | null = null;

  constructor(config: FailoverConfig, onNews: () => void) {
    this.#config = config;
    this.#onNews = onNews;
  }

  /** Whom to try from now on; nobody: what was found is forgotten. */
  watch(targets: readonly MemberSpec[]): void {
    this.#targets = targets;
    if (targets.length === 0) {
      if (this.#timer) clearInterval(this.#timer);
      this.#timer = null;
      this.#attempts = new Map();
    } else if (!this.#timer) {
      this.#timer = setInterval(() => this.#round(), lookoutTimes(this.#config).intervalMs);
      this.#round();
    }
  }

  /** Null while nobody is tried. */
  sight(silentMs: number): Sight | null {
    return this.#timer ? sightOf(Math.round(silentMs), this.#attempts) : null;
  }

  #round(): void {
    const attempts = this.#attempts;
    for (const { id, host, port } of this.#targets) {
      void attemptToConnect(host, port, lookoutTimes(this.#config).limitMs).then(outcome => {
        attempts.set(id, noteAttempt(attempts.get(id), outcome));
        if (attempts === this.#attempts) this.#onNews();
      });
    }
  }
}

/** Opens a connection and closes it at once: PostgreSQL says nothing of those in its log. */
export function attemptToConnect(host: string, port: number, limitMs: number): Promise<AttemptOutcome> {
  return new Promise(resolve => {
    const socket = connect({ host, port });
    const settle = (outcome: AttemptOutcome): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(outcome);
    };
    // A process that was held up itself has the answer already: it is taken before the time is called over.
    const expires = (outcome: AttemptOutcome, ms: number): NodeJS.Timeout => setTimeout(() => setImmediate(() => settle(outcome)), ms);
    let timer = expires('refused', RESOLVE_LIMITS * limitMs);
    socket.once('connectionAttempt', () => {
      clearTimeout(timer);
      timer = expires('lost', limitMs);
    });
    socket.once('connect', () => settle('reached'));
    socket.once('error', (error: NodeJS.ErrnoException) => settle(LOST.has(error.code) ? 'lost' : 'refused'));
  });
}
