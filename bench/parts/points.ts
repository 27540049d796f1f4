import type { Cell } from '../lib/cell.ts';
import type { QueryMode } from '../lib/pgbench.ts';
import { measurePgbench } from './pgbench-cell.ts';

const MODES: readonly QueryMode[] = ['extended', 'simple', 'prepared'];
const CLIENTS = [1, 8, 32, 128, 512];

/** Reads of one row by its key: `pgbench -S`; for the in-process client the same statement, from as many callers. */
export const points: readonly Cell[] = MODES.flatMap(mode => CLIENTS.map(clients => pointReads(mode, clients)));

function pointReads(mode: QueryMode, clients: number): Cell {
  return {
    id: `points-${mode}-${clients}`,
    title: `point reads, ${mode}, ${clients} ${clients === 1 ? 'client' : 'clients'}`,
    unit: 'tps',
    better: 'more',
    clients,
    ...(mode === 'extended' ? {} : { without: { client: 'it sends its statements in the extended protocol' } }),
    measure: (peer, world) =>
      peer.pointReads?.(clients, world.seconds) ?? measurePgbench({ mode, clients, work: 'read', args: ['-S'] }, peer, world),
  };
}
