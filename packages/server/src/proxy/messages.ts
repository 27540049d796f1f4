import type { EventDraft, FailoverConfig } from '@understudy/core/cluster';
import type { Address, StatementSample } from '@understudy/core/routing';
import type { ProxyOptions } from './options.ts';
import type { ProxyStats } from './ports.ts';

/** Servers that nobody but they themselves can be asked about: named one by one, or by Patroni's REST API. */
export type ServerSource =
  | { readonly kind: 'addresses'; readonly addresses: readonly Address[] }
  | { readonly kind: 'patroni'; readonly apis: readonly Address[] };

/** What a proxy is told first: its options, who knows the cluster, and on what to listen. */
export type Begin = {
  readonly options: ProxyOptions;
  /** The descriptor, in its own process, of a bound socket on which it listens; null: it binds the address of its options. */
  readonly listenFd: number | null;
} & (
  | {
      /** The cluster is known from the store, through the link. */
      readonly kind: 'begin';
      readonly failover: FailoverConfig;
      readonly viewTtlMs: number | null;
      /** Where the members of this machine keep their things, each in a folder of its name; null: servers are reached by address alone. */
      readonly membersDirectory: string | null;
    }
  /** The servers themselves. */
  | { readonly kind: 'begin-asking'; readonly source: ServerSource }
);

export type ToProxy =
  | Begin
  /** Other options for a proxy that runs. Where it listens, its workers and the router's role stay as they are. */
  | { readonly kind: 'reload'; readonly options: ProxyOptions }
  /** What was heard through the store is all that there was at that moment, on this machine's monotonic clock (`process.hrtime`). */
  | { readonly kind: 'view-confirmed'; readonly atNs: bigint }
  /** Somebody looks at what is routed, or nobody does any more. */
  | { readonly kind: 'watch'; readonly active: boolean }
  /** Take no more clients, end each of those that are there as soon as it rests, all of them after `drainMs`, and exit. */
  | { readonly kind: 'stop'; readonly drainMs: number };

export type FromProxy =
  | { readonly kind: 'listening'; readonly host: string; readonly port: number }
  | { readonly kind: 'stats'; readonly stats: ProxyStats }
  | { readonly kind: 'statements'; readonly sample: StatementSample }
  | { readonly kind: 'event'; readonly event: EventDraft }
  /** No client has a transaction open on the primary any more, for this switchover. */
  | { readonly kind: 'drained'; readonly intentId: string }
  | { readonly kind: 'failed'; readonly message: string }
  /** It goes on with the options that it has. */
  | { readonly kind: 'reload-failed'; readonly message: string };
