// npm run machines -- [--rounds 1] [--only fault,fault]: every fault, round by round, as root. Prints what was seen as JSON.
import { parseArgs } from 'node:util';
import { type FaultName, FAULTS } from './faults.ts';
import { Machines } from './machines.ts';
import { MachinesRun } from './run.ts';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '1' }, only: { type: 'string' } } });
const faults = (values.only?.split(',') ?? Object.keys(FAULTS)) as FaultName[];

const machines = await Machines.start();
try {
  const run = new MachinesRun(machines);
  await run.begin();
  for (let round = 1; round <= Number(values.rounds); round++) {
    for (const fault of faults) {
      await run.inflict(fault);
      process.stderr.write(`round ${round}: ${fault}: healthy again\n`);
    }
  }
  const report = await run.end();
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  const clean = report.surprises.length === 0 && Object.values(report.verdict).every(found => found.length === 0);
  process.stderr.write(clean ? 'clean\n' : 'NOT CLEAN\n');
  process.exitCode = clean ? 0 : 1;
} finally {
  await machines.stop();
}
