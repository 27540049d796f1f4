// npm run machines -- [--rounds 1] [--only fault,fault]: every fault, round by round, as root. Prints what was seen as JSON.
import { parseArgs } from 'node:util';
import { Clocks } from './clocks.ts';
import { type FaultName, FAULTS, isExpected, isFaultName } from './faults.ts';
import { Machines } from './machines.ts';
import { MachinesRun } from './run.ts';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '1' }, only: { type: 'string' } } });
const named: readonly FaultName[] = (values.only?.split(',') ?? Object.keys(FAULTS)).map(name => {
  if (!isFaultName(name)) throw new Error(`unknown fault ${name}; there are ${Object.keys(FAULTS).join(', ')}`);
  return name;
});
const needClocks = (fault: FaultName): boolean => FAULTS[fault].needs === 'own-clocks';
const faults = Clocks.canBe ? named : named.filter(fault => !needClocks(fault));
if (faults.length < named.length)
  process.stderr.write('without the faults of clocks: they need a C compiler and the Debian package postgresql-15\n');

const machines = await Machines.start({}, faults.some(needClocks) ? 'own-clocks' : 'one-clock');
try {
  const run = new MachinesRun(machines, 'whole');
  await run.begin();
  for (let round = 1; round <= Number(values.rounds); round++) {
    for (const fault of faults) {
      await run.inflict(fault);
      process.stderr.write(`round ${round}: ${fault}: healthy again\n`);
    }
  }
  const report = await run.end();
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  const unexpected = report.faults.filter(({ fault, termsPassed }) => !isExpected(fault, termsPassed));
  for (const { fault, termsPassed } of unexpected) process.stderr.write(`${fault}: ${termsPassed} terms passed\n`);
  const clean = report.surprises.length + unexpected.length === 0 && Object.values(report.verdict).every(found => found.length === 0);
  process.stderr.write(clean ? 'clean\n' : 'NOT CLEAN\n');
  process.exitCode = clean ? 0 : 1;
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n${machines.logs()}\n`);
  process.exitCode = 1;
} finally {
  await machines.stop();
}
