// npm run consistency -- [--minutes 10] [--seed 1] [--replicas 3]
import { parseArgs } from 'node:util';
import { LEVELS } from './checker.ts';
import { runConsistency } from './run.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: '1' },
    replicas: { type: 'string', default: '3' },
  },
});

const report = await runConsistency({
  seed: Number(values.seed),
  durationMs: Number(values.minutes) * 60_000,
  replicas: Number(values.replicas),
  onLine: line => process.stderr.write(`${line}\n`),
});
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
process.stderr.write('\nlevel      reads     stale  stale (own)  non-monotonic  over the bound  lost\n');
for (const level of LEVELS) {
  const { reads, stale, staleOwn, nonMonotonic, overBound, lost } = report.levels[level];
  const cells = [String(reads).padStart(7), String(stale).padStart(9), String(staleOwn).padStart(12), String(nonMonotonic).padStart(14)];
  process.stderr.write(`${level.padEnd(9)}${cells.join(' ')} ${String(overBound).padStart(15)} ${String(lost).padStart(5)}\n`);
}
process.stderr.write(report.clean ? '\nevery promise was kept\n' : '\nPROMISES WERE BROKEN\n');
process.exitCode = report.clean ? 0 : 1;
