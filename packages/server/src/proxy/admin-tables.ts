import type { RouterTable } from '@understudy/core/sql';
import type { Activity } from './limits.ts';
import type { LocalResult } from './local-answer.ts';
import type { PoolReport } from './pools.ts';

/** One client, as `SHOW understudy.clients` tells of it. */
export interface ClientFacts {
  readonly user: string;
  readonly database: string;
  readonly applicationName: string;
  /** `address:port`. */
  readonly from: string;
  readonly tls: boolean;
  readonly connectedMs: number;
  readonly state: Activity | 'replication';
  /** Who answered last, and why it was asked; '' before the first statement. */
  readonly lastRoute: string;
}

/** One server, as the router sees it. */
export interface ServerFacts {
  readonly member: string;
  readonly role: 'primary' | 'replica';
  readonly address: string;
  readonly timeline: number;
  readonly reads: number;
}

/** What the tables are made of, asked for at the moment of the question. */
export interface TableSources {
  clients(): Iterable<ClientFacts>;
  servers(): Iterable<ServerFacts>;
  pools(): Iterable<PoolReport>;
  stats(): Iterable<readonly [name: string, value: number]>;
}

/** Rows beyond this are not sent: such an answer is made in memory. */
const MAX_ROWS = 10_000;

/** The answers to `SHOW understudy.clients`, `servers`, `pools` and `stats`. */
export function showTable(table: RouterTable, sources: TableSources): LocalResult {
  switch (table) {
    case 'clients':
      return rows(['user', 'database', 'application_name', 'from', 'tls', 'connected_s', 'state', 'last_route'], sources.clients(), c => [
        c.user,
        c.database,
        c.applicationName,
        c.from,
        c.tls ? 'on' : 'off',
        seconds(c.connectedMs),
        c.state,
        c.lastRoute,
      ]);
    case 'servers':
      return rows(['member', 'role', 'address', 'timeline', 'reads'], sources.servers(), s => [
        s.member,
        s.role,
        s.address,
        String(s.timeline),
        String(s.reads),
      ]);
    case 'pools':
      return rows(['member', 'role', 'user', 'database', 'connections', 'idle', 'waiting'], sources.pools(), p => [
        p.server,
        p.role,
        p.user,
        p.database,
        String(p.connections),
        String(p.idle),
        String(p.waiting),
      ]);
    case 'stats':
      return rows(['name', 'value'], sources.stats(), ([name, value]) => [name, String(value)]);
    default:
      return table satisfies never;
  }
}

const seconds = (ms: number): string => (ms / 1000).toFixed(1);

function rows<T>(columns: readonly string[], from: Iterable<T>, row: (item: T) => readonly string[]): LocalResult {
  const made: (readonly string[])[] = [];
  for (const item of from) {
    if (made.length >= MAX_ROWS) break;
    made.push(row(item));
  }
  return { columns, rows: made, tag: 'SHOW' };
}
