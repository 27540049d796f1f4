// npm run bench:failover -- [--rounds 20] [--faults crash,loss,hang] [--patroni-rounds 2] [--only understudy|patroni] [--out DIR]
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { FAULT_TEXTS, FAULTS } from './contender.ts';
import type { Measurement } from './measure.ts';
import { Patroni } from './patroni.ts';
import { PATRONI_DEFAULTS, PATRONI_FLOOR } from './patroni-config.ts';
import { has, measured, note, report } from './run.ts';
import { Understudy } from './understudy.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '20' },
    faults: { type: 'string', default: FAULTS.join(',') },
    'patroni-rounds': { type: 'string', default: '2' },
    only: { type: 'string' },
    out: { type: 'string', default: 'bench-results' },
  },
});

const faults = values.faults.split(',').map(name => {
  const fault = FAULTS.find(known => known === name);
  if (!fault) throw new Error(`unknown fault ${name}; there are ${FAULTS.join(', ')}`);
  return fault;
});
const hasPatroni = has('patroni') && has('etcd') && existsSync('/usr/lib/postgresql/15/bin/postgres');
if (!hasPatroni && values.only !== 'understudy')
  note('without Patroni beside it: that needs the Debian packages patroni, etcd-server and postgresql-15');

const measurements: Measurement[] = [];
const wants = (name: string): boolean => values.only === undefined || values.only.split(',').includes(name);
if (wants('understudy')) measurements.push(await measured(new Understudy(), faults, Number(values.rounds)));
if (hasPatroni && wants('patroni')) {
  measurements.push(await measured(new Patroni('Patroni, defaults', PATRONI_DEFAULTS), faults, Number(values['patroni-rounds'])));
  measurements.push(await measured(new Patroni('Patroni, tuned to its floor', PATRONI_FLOOR), faults, Number(values['patroni-rounds'])));
}
report(values.out, 'failover', measurements, FAULT_TEXTS);
process.exit(0);
