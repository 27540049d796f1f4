import { channel } from 'node:diagnostics_channel';

/** Where one statement went, and why. */
export interface RouteInfo {
  readonly role: 'primary' | 'replica';
  /** Id of the server: its name in an Understudy cluster, otherwise `host:port`. */
  readonly server: string;
  readonly host: string;
  readonly port: number;
  /** One word of a closed list. */
  readonly reason: string;
  /** The same as one sentence. */
  readonly because: string;
  /** Milliseconds that it waited: for a replica that is fresh enough, or for a primary. */
  readonly waitedMs: number;
  /** 1, and more when a server was lost or refused it before. */
  readonly attempt: number;
  readonly text: string;
}

/** Counters of a router since it began. */
export interface RouteCounts {
  /** Statements outside transactions that were reads, by the server that took them. */
  readonly reads: Readonly<Record<string, number>>;
  /** Of these, those that shared a connection with other reads under way. */
  readonly shared: number;
  /** All others. */
  readonly writes: number;
  readonly reasons: Readonly<Record<string, number>>;
  /** Statements that were sent a second time, by SQLSTATE or `lost`. */
  readonly retries: Readonly<Record<string, number>>;
}

/** Every routed statement, as {@link RouteInfo}, for whoever listens: `diagnostics_channel.subscribe('understudy:route', …)`. */
const routes: ReturnType<typeof channel> = channel('understudy:route');

export class RouteCounters {
  readonly #reads: Record<string, number> = {};
  readonly #reasons: Record<string, number> = {};
  readonly #retries: Record<string, number> = {};
  #shared = 0;
  #writes = 0;

  count(info: RouteInfo, kind: 'read' | 'other'): void {
    if (kind === 'read') this.#reads[info.server] = (this.#reads[info.server] ?? 0) + 1;
    else this.#writes += 1;
    this.#reasons[info.reason] = (this.#reasons[info.reason] ?? 0) + 1;
    if (routes.hasSubscribers) routes.publish(info);
  }

  countShared(): void {
    this.#shared += 1;
  }

  countRetry(why: string): void {
    this.#retries[why] = (this.#retries[why] ?? 0) + 1;
  }

  read(): RouteCounts {
    return {
      reads: { ...this.#reads },
      shared: this.#shared,
      writes: this.#writes,
      reasons: { ...this.#reasons },
      retries: { ...this.#retries },
    };
  }
}

/** Attributes for a span of OpenTelemetry, by its semantic conventions where they have a name. */
export function routeAttributes(info: RouteInfo): Record<string, string | number> {
  return {
    'db.system.name': 'postgresql',
    'server.address': info.host,
    'server.port': info.port,
    'understudy.server.id': info.server,
    'understudy.server.role': info.role,
    'understudy.route.reason': info.reason,
    'understudy.route.attempt': info.attempt,
    'understudy.floor_wait_ms': Math.round(info.waitedMs * 1000) / 1000,
  };
}
