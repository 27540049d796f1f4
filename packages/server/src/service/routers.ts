import { addTraffic, type RouterTraffic } from '@understudy/core/routing';
import type { RouterStatus } from '../api/types.ts';
import type { Notice } from '../store/etcd/store.ts';

/** The topic under which a router says how it is. */
export const ROUTERS = 'routers';
/** The topic of events: what one machine did, for the logs of all. */
export const NEWS = 'news';

/** What a router says of itself, twice a second and whenever it has drained. */
export interface RouterWord {
  readonly host: string;
  readonly port: number;
  /** The switchover for which no client has a transaction open on the primary any more. */
  readonly drained: string | null;
  readonly status: RouterStatus;
}

/** The routers of the cluster, as far as their processes live. */
export class Routers {
  readonly #words = new Map<string, RouterWord>();

  hear({ from, content }: Notice): void {
    if (content === null) this.#words.delete(from);
    else this.#words.set(from, content as RouterWord);
  }

  /** Whether nobody holds a transaction open on the primary for this switchover; so it is when there are no routers. */
  haveDrained(intentId: string): boolean {
    return [...this.#words.values()].every(({ drained }) => drained === intentId);
  }

  /** The first of them, by name: where to connect. */
  get address(): { readonly host: string; readonly port: number } | null {
    const first = [...this.#words.keys()].toSorted()[0];
    return first === undefined ? null : this.#words.get(first)!;
  }

  /** All of them as one. */
  get status(): RouterStatus {
    const reads: Record<string, number> = {};
    let traffic: RouterTraffic | undefined;
    const sum = { clients: 0, writes: 0, held: 0 };
    for (const { status } of this.#words.values()) {
      for (const [member, count] of Object.entries(status.reads)) reads[member] = (reads[member] ?? 0) + count;
      sum.clients += status.clients;
      sum.writes += status.writes;
      sum.held += status.held;
      if (status.traffic) traffic = traffic === undefined ? status.traffic : addTraffic(traffic, status.traffic);
    }
    return { ...sum, reads, pid: null, ...(traffic ? { traffic } : {}) };
  }
}
