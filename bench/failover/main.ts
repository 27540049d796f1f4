// npm run bench:failover -- [--rounds 20] [--faults crash,loss,hang] [--patroni-rounds 2] [--only understudy|patroni] [--json FILE]
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { type Contender, FAULT_TEXTS, FAULTS, type Fault } from './contender.ts';
import { type Measurement, measure } from './measure.ts';
import { Patroni } from './patroni.ts';
import { PATRONI_DEFAULTS, PATRONI_FLOOR } from './patroni-config.ts';
import { tables } from './table.ts';
import { Understudy } from './understudy.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '20' },
    faults: { type: 'string', default: FAULTS.join(',') },
    'patroni-rounds': { type: 'string', default: '2' },
    only: { type: 'string' },
    json: { type: 'string', default: 'test-results/bench-failover.json' },
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
if (wants('understudy')) await run(new Understudy(), faults, Number(values.rounds));
if (hasPatroni && wants('patroni')) {
  await run(new Patroni('Patroni, defaults', PATRONI_DEFAULTS), faults, Number(values['patroni-rounds']));
  await run(new Patroni('Patroni, tuned to its floor', PATRONI_FLOOR), faults, Number(values['patroni-rounds']));
}
mkdirSync(dirname(values.json), { recursive: true });
writeFileSync(
  values.json,
  `${JSON.stringify({ at: new Date().toISOString(), cpu: cpus()[0]?.model, cores: cpus().length, measurements }, null, 2)}\n`,
);
process.stdout.write(tables(measurements, FAULT_TEXTS));
process.exit(0);

async function run(contender: Contender, which: readonly Fault[], rounds: number): Promise<void> {
  note(`${contender.name}: starting`);
  measurements.push(
    await measure(contender, {
      faults: which,
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
