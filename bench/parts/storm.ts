import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cell } from '../lib/cell.ts';
import { measurePgbench } from './pgbench-cell.ts';

const CLIENTS = 16;

/** A new connection with SCRAM for every statement. */
export const storm: readonly Cell[] = [
  {
    id: 'storm',
    title: `connections with SCRAM and one statement each, ${CLIENTS} at a time`,
    unit: 'logins/s',
    better: 'more',
    clients: CLIENTS,
    measure: (peer, world) => {
      const script = join(world.setting.directory, 'one.sql');
      writeFileSync(script, 'SELECT 1;\n');
      return measurePgbench({ mode: 'simple', clients: CLIENTS, work: 'read', args: ['-C', '-f', script] }, peer, world);
    },
  },
];
