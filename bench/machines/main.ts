// npm run bench:machines -- [--rounds 10] [--faults lost,cut-off] [--patroni-rounds 2] [--only understudy|patroni-defaults|patroni-floor] [--out DIR]
// As root: each "machine" is a network namespace.
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { Measurement } from '../failover/measure.ts';
import { PATRONI_DEFAULTS, PATRONI_MACHINES_FLOOR } from '../failover/patroni-config.ts';
import { has, measured, note, report } from '../failover/run.ts';
import { FAULT_TEXTS, isMachineFault, type MachineFault } from './faults.ts';
import { PatroniMachines } from './patroni.ts';
import { UnderstudyMachines } from './understudy.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '10' },
    faults: { type: 'string', default: 'lost,cut-off' },
    'patroni-rounds': { type: 'string', default: '2' },
    only: { type: 'string' },
    out: { type: 'string', default: 'bench-results' },
  },
});

const faults: readonly MachineFault[] = values.faults.split(',').map(name => {
  if (!isMachineFault(name)) throw new Error(`unknown fault ${name}; there are ${Object.keys(FAULT_TEXTS).join(', ')}`);
  return name;
});
const hasPatroni = has('patroni') && existsSync('/usr/lib/postgresql/15/bin/postgres');
const wants = (name: string): boolean => values.only === undefined || values.only.split(',').includes(name);

const measurements: Measurement[] = [];
if (wants('understudy')) measurements.push(await measured(new UnderstudyMachines(), faults, Number(values.rounds)));
if (!hasPatroni) note('without Patroni beside it: that needs the Debian packages patroni and postgresql-15');
else {
  const rounds = Number(values['patroni-rounds']);
  if (wants('patroni-defaults'))
    measurements.push(await measured(new PatroniMachines('Patroni, defaults', PATRONI_DEFAULTS), faults, rounds));
  if (wants('patroni-floor'))
    measurements.push(await measured(new PatroniMachines('Patroni, as fast as it still elects', PATRONI_MACHINES_FLOOR), faults, rounds));
}
report(values.out, 'machines', measurements, FAULT_TEXTS);
process.exit(0);
