// npm run bench:machines -- [--rounds 10] [--faults lost,cut-off] [--patroni-rounds 2] [--only understudy|patroni-defaults|patroni-floor] [--json FILE]
// As root: each "machine" is a network namespace.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import type { Contender } from '../failover/contender.ts';
import { type Measurement, measure } from '../failover/measure.ts';
import { PATRONI_DEFAULTS, PATRONI_MACHINES_FLOOR } from '../failover/patroni-config.ts';
import { tables } from '../failover/table.ts';
import { FAULT_TEXTS, isMachineFault, type MachineFault } from './faults.ts';
import { PatroniMachines } from './patroni.ts';
import { UnderstudyMachines } from './understudy.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '10' },
    faults: { type: 'string', default: 'lost,cut-off' },
    'patroni-rounds': { type: 'string', default: '2' },
    only: { type: 'string' },
    json: { type: 'string', default: 'test-results/bench-machines.json' },
  },
});

const faults: readonly MachineFault[] = values.faults.split(',').map(name => {
  if (!isMachineFault(name)) throw new Error(`unknown fault ${name}; there are ${Object.keys(FAULT_TEXTS).join(', ')}`);
  return name;
});
const hasPatroni = has('patroni') && existsSync('/usr/lib/postgresql/15/bin/postgres');
const wants = (name: string): boolean => values.only === undefined || values.only.split(',').includes(name);

const measurements: Measurement[] = [];
if (wants('understudy')) await run(new UnderstudyMachines(), Number(values.rounds));
if (!hasPatroni) note('without Patroni beside it: that needs the Debian packages patroni and postgresql-15');
else {
  const rounds = Number(values['patroni-rounds']);
  if (wants('patroni-defaults')) await run(new PatroniMachines('Patroni, defaults', PATRONI_DEFAULTS), rounds);
  if (wants('patroni-floor')) await run(new PatroniMachines('Patroni, as fast as it still elects', PATRONI_MACHINES_FLOOR), rounds);
}
mkdirSync(dirname(values.json), { recursive: true });
writeFileSync(
  values.json,
  `${JSON.stringify({ at: new Date().toISOString(), cpu: cpus()[0]?.model, cores: cpus().length, measurements }, null, 2)}\n`,
);
process.stdout.write(tables(measurements, FAULT_TEXTS));
process.exit(0);

async function run(contender: Contender<MachineFault>, rounds: number): Promise<void> {
  note(`${contender.name}: starting`);
  measurements.push(
    await measure(contender, {
      faults,
      rounds,
      onRound: (name, { fault, outageMs, phases }) => {
        const steps = Object.entries(phases).map(([step, ms]) => `${step} ${Math.round(ms)}`);
        note(`${name}, ${fault}: ${Math.round(outageMs)} ms${steps.length > 0 ? ` (${steps.join('; ')})` : ''}`);
      },
    }),
  );
}

function has(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
}

function note(line: string): void {
  process.stderr.write(`${line}\n`);
}
