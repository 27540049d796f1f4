import { Client } from '@understudy/client';
import pg from 'pg';
import type { Cluster } from '../support/cluster.ts';
import type { Anomalies, Level } from './checker.ts';
import { Visitors } from './visitors.ts';
import { Workload } from './workload.ts';
import type { Verdicts } from './checker.ts';

/** Through what the checked statements go: the proxy; the client in one process; several processes with the client each, which share nothing but tokens. */
export const DOORS = ['proxy', 'client', 'processes'] as const;
export type Door = (typeof DOORS)[number];

/** Those who write and read through a door, and what they found. */
export interface Traffic {
  readonly verdicts: Verdicts;
  /** Reads by level and then by the port of the server that answered. */
  readonly reads: Readonly<Record<Level, ReadonlyMap<number, number>>>;
  /** Errors that no client should have seen. */
  readonly surprises: readonly string[];
  readonly writes: number;
  /** Writes whose outcome nobody was told. */
  readonly unknown: number;
  /** The table that was made last. */
  readonly table: string;
  prepare(): Promise<void>;
  start(): void;
  stop(): Promise<void>;
  /** Acknowledged writes that are not on the primary in the end. */
  missing(): Promise<string[]>;
}

export interface LevelReport extends Anomalies {
  readonly reads: number;
  /** Reads by the member that answered. */
  readonly byMember: Readonly<Record<string, number>>;
}

/** The traffic of a door. Each has tables of its own: `strong` promises what was acknowledged through the same router. */
export function trafficThrough(door: Door, cluster: Cluster): Traffic {
  const { url, httpPort } = cluster;
  const { username, password, pathname } = new URL(url);
  const feed = `understudy://${username}:${password}@127.0.0.1:${httpPort}${pathname}`;
  switch (door) {
    case 'proxy':
      return new Workload(door, () => new pg.Client({ connectionString: url }));
    case 'client':
      return new Workload(door, () => new Client({ connectionString: feed }));
    case 'processes':
      return new Visitors(feed);
    default:
      return door satisfies never;
  }
}
