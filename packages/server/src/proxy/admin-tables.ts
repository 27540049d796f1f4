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
  /** Which worker serves it, from 1. */
  readonly worker: number;
}

/** One server, as the router sees it. */
export interface ServerFacts {
  readonly member: string;
  readonly role: 'primary' | 'replica';
  readonly address: string;
  readonly timeline: number;
  readonly reads: number;
}

/** One line of each table, before it is text. */
export interface TableFacts {
  readonly clients: ClientFacts;
  readonly servers: ServerFacts;
  readonly pools: PoolReport;
  readonly stats: readonly [name: string, value: number];
}

/** What the tables of one worker are made of, asked for at the moment of the question. */
export type TableSources = { readonly [T in RouterTable]: () => Iterable<TableFacts[T]> };

/** Rows beyond this are not sent: such an answer is made in memory. */
const MAX_ROWS = 10_000;

/** What one worker has for a table. */
export function factsFor(table: RouterTable, sources: TableSources): TableFacts[RouterTable][] {
  const made: TableFacts[RouterTable][] = [];
  for (const fact of sources[table]()) if (made.push(fact) >= MAX_ROWS) break;
  return made;
}

/** The answer to `SHOW understudy.clients`, `servers`, `pools` or `stats`, from what the workers have for it. */
export function showTable(table: RouterTable, ofWorkers: readonly (readonly TableFacts[RouterTable][])[]): LocalResult {
  switch (table) {
    case 'clients':
      return rows(
        ['user', 'database', 'application_name', 'from', 'tls', 'connected_s', 'state', 'last_route', 'worker'],
        (ofWorkers as readonly ClientFacts[][])
          .flat()
          .map(c => [
            c.user,
            c.database,
            c.applicationName,
            c.from,
            c.tls ? 'on' : 'off',
            seconds(c.connectedMs),
            c.state,
            c.lastRoute,
            String(c.worker),
          ]),
      );
    case 'servers':
      return rows(
        ['member', 'role', 'address', 'timeline', 'reads'],
        added(
          (ofWorkers as readonly ServerFacts[][]).flat(),
          s => `${s.role} ${s.member}`,
          (a, b) => ({ ...a, reads: a.reads + b.reads }),
        ).map(s => [s.member, s.role, s.address, String(s.timeline), String(s.reads)]),
      );
    case 'pools':
      return rows(
        ['member', 'role', 'user', 'database', 'connections', 'idle', 'waiting'],
        added((ofWorkers as readonly PoolReport[][]).flat(), poolKey, (a, b) => ({
          ...a,
          connections: a.connections + b.connections,
          idle: a.idle + b.idle,
          waiting: a.waiting + b.waiting,
        })).map(p => [p.server, p.role, p.user, p.database, String(p.connections), String(p.idle), String(p.waiting)]),
      );
    case 'stats':
      return rows(
        ['name', 'value'],
        added(
          (ofWorkers as readonly TableFacts['stats'][][]).flat(),
          ([name]) => name,
          ([name, a], [, b]) => [name, a + b] as const,
        ).map(([name, value]) => [name, String(value)]),
      );
    default:
      return table satisfies never;
  }
}

const poolKey = ({ server, role, user, database }: PoolReport): string => JSON.stringify([server, role, user, database]);

/** Lines of the same key are added up, in the order in which the first of each came. */
function added<T>(all: readonly T[], key: (item: T) => string, add: (a: T, b: T) => T): readonly T[] {
  const found = new Map<string, T>();
  for (const item of all) {
    const before = found.get(key(item));
    found.set(key(item), before === undefined ? item : add(before, item));
  }
  return [...found.values()];
}

const seconds = (ms: number): string => (ms / 1000).toFixed(1);

function rows(columns: readonly string[], made: readonly (readonly string[])[]): LocalResult {
  return { columns, rows: made.slice(0, MAX_ROWS), tag: 'SHOW' };
}
