import type { Cell } from '../lib/cell.ts';
import type { QueryMode } from '../lib/pgbench.ts';
import { pgbenchCell } from './pgbench-cell.ts';

const MODES: readonly QueryMode[] = ['extended', 'simple', 'prepared'];
const CLIENTS = [1, 8, 32, 128, 512];

/** Reads of one row by its key: `pgbench -S`. */
export const points: readonly Cell[] = MODES.flatMap(mode =>
  CLIENTS.map(clients =>
    pgbenchCell(
      { id: `points-${mode}-${clients}`, title: `point reads, ${mode}, ${clients} ${clients === 1 ? 'client' : 'clients'}` },
      { mode, clients, work: 'read', args: ['-S'] },
    ),
  ),
);
