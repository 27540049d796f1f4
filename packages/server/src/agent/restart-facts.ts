import type { MemberReport } from '@understudy/core/cluster';
import type { PendingSettings, PostgresServer } from '../postgres/index.ts';
import type { InstalledPrograms } from './programs.ts';

/** Settings change when somebody does something: now and then is enough, and each look costs more than a look at the server. */
const INTERVAL_MS = 5000;
/** For the programs a look is at one file. */
const PROGRAMS_INTERVAL_MS = 1000;
const DEADLINE_MS = 2000;

/** After this every agent whose server answers has told of programs that were installed before, unless its machine is very slow. */
export const PROGRAMS_TOLD_MS: number = PROGRAMS_INTERVAL_MS + DEADLINE_MS;

/** What a restart of the own server would change. Never more than one look at a time. */
export class RestartFacts {
  readonly #server: PostgresServer;
  readonly #programs: InstalledPrograms;
  readonly #now: () => number;
  #pending: PendingSettings | null = null;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #programsDueMs = Number.NEGATIVE_INFINITY;
  #looking = false;

  constructor(server: PostgresServer, programs: InstalledPrograms, now: () => number) {
    this.#server = server;
    this.#programs = programs;
    this.#now = now;
  }

  /** The part of a member's report that tells of it; what is not known yet is not there. */
  get report(): Pick<MemberReport, 'installedVersion' | 'pendingRestart' | 'limits'> {
    return { installedVersion: this.#programs.version, ...this.#pending };
  }

  /** Settings were changed, or the postmaster began or ended: what was known is void. */
  reset(): void {
    this.#pending = null;
    this.#lookedAtMs = Number.NEGATIVE_INFINITY;
  }

  /** Rejects with what went wrong, which the next look tries again. */
  async lookIfDue(): Promise<void> {
    if (this.#looking || this.#server.pid === null) return;
    this.#looking = true;
    try {
      await this.#lookAtSettings();
      await this.#lookAtPrograms();
    } finally {
      this.#looking = false;
    }
  }

  /** Those that cannot be used, as in the middle of an installation, are tried again later. */
  async #lookAtPrograms(): Promise<void> {
    const now = this.#now();
    if (now < this.#programsDueMs) return;
    this.#programsDueMs = now + INTERVAL_MS;
    await this.#programs.look();
    this.#programsDueMs = now + PROGRAMS_INTERVAL_MS;
  }

  async #lookAtSettings(): Promise<void> {
    const now = this.#now();
    if (now - this.#lookedAtMs < INTERVAL_MS) return;
    this.#lookedAtMs = now;
    const { pid } = this.#server;
    const seen = await this.#server.readPending(DEADLINE_MS);
    if (this.#server.pid === pid && this.#lookedAtMs === now) this.#pending = seen;
  }
}
