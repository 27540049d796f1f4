import type { Cell } from '../lib/cell.ts';
import { pgbenchCell } from './pgbench-cell.ts';

export const writes: readonly Cell[] = [
  pgbenchCell(
    { id: 'writes-32', title: 'TPC-B transactions, 32 clients' },
    { mode: 'extended', clients: 32, work: 'write', args: ['-b', 'tpcb-like'] },
  ),
];

export const mix: readonly Cell[] = [
  pgbenchCell(
    { id: 'mix-32', title: '100 point reads for each TPC-B transaction, 32 clients' },
    { mode: 'extended', clients: 32, work: 'mixed', args: ['-b', 'select-only@100', '-b', 'tpcb-like@1'] },
  ),
];
