import type { StatusDocument, StatusSample } from './types.ts';

/** One a second for five minutes: what the charts of a page that is opened now begin with. */
const SAMPLE_INTERVAL_MS = 1000;
const SAMPLES_MAX = 300;

/** What is kept of a status document, so that lag and traffic can be seen over time by those who look later. */
export function sampleOf(status: StatusDocument, atMs: number): StatusSample {
  const replicas = status.members.filter(({ role }) => role === 'replica');
  return {
    atMs,
    primary: status.primary,
    routerPid: status.router.pid,
    writes: status.router.writes,
    reads: status.router.reads,
    lag: Object.fromEntries(replicas.map(({ id, lagBytes, lagMs }) => [id, { bytes: lagBytes, ms: lagMs }])),
  };
}

/** The samples of the last minutes. Its timer keeps no process alive. */
export class StatusSamples {
  readonly #samples: StatusSample[] = [];
  readonly #timer: NodeJS.Timeout;

  constructor(status: () => StatusDocument) {
    this.#timer = setInterval(() => {
      this.#samples.push(sampleOf(status(), Date.now()));
      if (this.#samples.length > SAMPLES_MAX) this.#samples.shift();
    }, SAMPLE_INTERVAL_MS).unref();
  }

  /** Oldest first. */
  get all(): readonly StatusSample[] {
    return this.#samples;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
