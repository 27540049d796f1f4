import type { Measurement } from '../lib/cell.ts';
import type { QueryMode } from '../lib/pgbench.ts';

export interface Endpoint {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

/** What a load does: decides to which address of a peer that cannot tell reads from writes it goes. */
export type Work = 'read' | 'write' | 'mixed';

/** One way for an application to reach the cluster. */
export interface Peer {
  readonly name: PeerName;
  readonly version: string;
  /** Where the load goes, or why the peer cannot take it. */
  endpoint(work: Work, mode: QueryMode): Endpoint | { readonly cannot: string };
  /** A way that is no address: it brings its own load of point reads, in a process of its own, and takes part in nothing else. */
  readonly pointReads?: (clients: number, seconds: number) => Promise<Measurement>;
  /** Processes whose CPU and memory are the router's. */
  pids(): readonly number[];
  stop(): Promise<void>;
}

export const PEERS = ['direct', 'understudy', 'client', 'pgbouncer', 'pgpool', 'haproxy', 'odyssey', 'pgcat'] as const;
export type PeerName = (typeof PEERS)[number];

/** A peer that is not installed, with how to get it. */
export interface MissingPeer {
  readonly name: PeerName;
  readonly missing: string;
}

/** What every peer is configured with: the same servers, the same role, room for the same clients. */
export interface PeerSetting {
  readonly directory: string;
  readonly primary: Endpoint;
  readonly replicas: readonly Endpoint[];
  readonly router: Endpoint;
  /** Pid of the proxy's process. */
  readonly routerPid: number;
  /** The most clients that a part of this run connects. */
  readonly maxClients: number;
}

export type StartPeer = (setting: PeerSetting) => Promise<Peer | MissingPeer>;
