import type { Credentials, TlsSources } from '../postgres/index.ts';
import type { EventDraft, FailoverConfig, MemberId, PostgresSettings } from '@understudy/core/cluster';

/** Everything that an agent needs to begin. Plain data: it crosses a process boundary. */
export interface AgentOptions {
  readonly member: MemberId;
  readonly host: string;
  readonly port: number;
  /** The member's own directory. */
  readonly directory: string;
  readonly provider: { readonly kind: 'embedded' } | { readonly kind: 'system'; readonly binDirectory: string };
  /** Where copies of embedded binaries may be kept that the account can reach. */
  readonly binaryCopies: string;
  readonly credentials: Credentials;
  readonly failover: FailoverConfig;
  /** PostgreSQL's own settings, as the operator says them. */
  readonly postgres: PostgresSettings;
  /** Above 0 on a delayed replica. */
  readonly applyDelayMs: number;
  /** This machine's certificate, in PEM files, for streaming between members; null: no TLS. */
  readonly tls: TlsSources | null;
}

export type ToAgent =
  | { readonly kind: 'begin'; readonly options: AgentOptions }
  /** No router has a transaction open on the primary any more, for this switchover. */
  | { readonly kind: 'drained'; readonly intentId: string }
  /** The operator says other settings of PostgreSQL. */
  | { readonly kind: 'settings'; readonly postgres: PostgresSettings }
  /** Decide nothing more; shut PostgreSQL down cleanly within the deadline (else fence it) and exit. */
  | { readonly kind: 'stop'; readonly deadlineMs: number };

export type FromAgent =
  | { readonly kind: 'event'; readonly event: EventDraft }
  /** This member was asked to leave and has stopped its PostgreSQL: its directory may go. */
  | { readonly kind: 'left' }
  /** The cluster was released: PostgreSQL goes on, and this agent has no more to do. */
  | { readonly kind: 'released' }
  | { readonly kind: 'stopped' }
  /** It cannot begin at all; a person must look. */
  | { readonly kind: 'failed'; readonly message: string };
