import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cell } from '../lib/cell.ts';
import { measurePgbench } from './pgbench-cell.ts';

interface Size {
  readonly id: string;
  readonly title: string;
  readonly rows: number;
  readonly rowBytes: number;
  readonly clients: number;
}

const SIZES: readonly Size[] = [
  { id: 'results-1k', title: 'results of 1 KB, 32 clients', rows: 1, rowBytes: 1000, clients: 32 },
  { id: 'results-100k', title: 'results of 100 KB, 8 clients', rows: 100, rowBytes: 1000, clients: 8 },
  { id: 'results-100m', title: 'results of 100 MB, 2 clients', rows: 100_000, rowBytes: 1000, clients: 2 },
];

/** Rows that only pass through. */
export const results: readonly Cell[] = SIZES.map(({ id, title, rows, rowBytes, clients }) => ({
  id,
  title,
  unit: 'MB/s',
  better: 'more',
  clients,
  measure: (peer, world) => {
    const script = join(world.setting.directory, `${id}.sql`);
    writeFileSync(script, `SELECT repeat('x', ${rowBytes}) FROM generate_series(1, ${rows});\n`);
    const load = { mode: 'simple', clients, work: 'read', args: ['-f', script], resultBytes: rows * rowBytes } as const;
    return measurePgbench(load, peer, world);
  },
}));
