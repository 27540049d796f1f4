import type { MemberId } from '../cluster/member.ts';

/** One PostgreSQL server that a router may connect to. */
export interface RoutableServer {
  readonly id: MemberId;
  readonly host: string;
  readonly port: number;
  /** Path of its Unix socket, for a router on its machine. */
  readonly socket?: string;
  /** Timeline that the server reported last; 0 while unknown. */
  readonly timeline: number;
  /** Relative share of reads, 0 to 1000; 0 takes no reads. */
  readonly weight: number;
  readonly zone: string | null;
  /** A delayed replica: it shows changes so much later, and serves only reads that promise nothing. Absent: at once. */
  readonly applyDelayMs?: number;
}

/** Why no statement may be sent to the primary at this moment. */
export type PrimaryState =
  | { readonly kind: 'open'; readonly server: RoutableServer }
  /** A primary is named but its rule is not established yet, or it restarted and its old commits are not confirmed: hold work. */
  | { readonly kind: 'unconfirmed'; readonly server: RoutableServer }
  /** A switchover drains: open transactions may end until the deadline, new work is held. `drainUntilMs` is on the router's own monotonic clock. */
  | { readonly kind: 'draining'; readonly server: RoutableServer; readonly drainUntilMs: number }
  /**
   * `last`: who was it before, where nobody but the servers themselves can be asked. `next`: the elected replica that is being promoted; it may be
   * connected to ahead of time, and asked nothing. `elsewhere`: this is a standby cluster, and writes are taken by the one at these addresses.
   */
  | {
      readonly kind: 'absent';
      readonly reason: string;
      readonly last?: RoutableServer;
      readonly next?: RoutableServer;
      readonly elsewhere?: string;
    };

/** Where writes are taken that this cluster cannot take, since it is a standby; null for any other cluster. */
export function writesElsewhere({ primary }: Topology): string | null {
  return primary.kind === 'absent' ? (primary.elsewhere ?? null) : null;
}

/** What a router knows of the cluster. A new value replaces the old one whole; nothing in it is ever changed in place. */
export interface Topology {
  /** Term of the rule in force. A connection made under an older term may carry nothing more to a primary. */
  readonly term: number;
  readonly primary: PrimaryState;
  /** Replicas that follow the primary of this term and may serve reads if they are fresh enough. */
  readonly replicas: readonly RoutableServer[];
  /** For too long nobody has confirmed that this is how things are: another primary may take writes elsewhere, so no read here is `strong`. */
  readonly isStale?: true;
  /** Fork points of the primary's timeline: where each older timeline ended. Newest last. */
  readonly history: readonly { readonly timeline: number; readonly endLsn: bigint }[];
}
