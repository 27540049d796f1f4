// npm run consistency -- [--minutes 10] [--seed 1] [--replicas 3] [--door proxy|client|processes, more than once]
import { parseArgs } from 'node:util';
import { LEVELS } from './checker.ts';
import { DOORS } from './doors.ts';
import { runConsistency } from './run.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: '1' },
    replicas: { type: 'string', default: '3' },
    door: { type: 'string', multiple: true },
  },
});
const doors = DOORS.filter(door => values.door?.includes(door) ?? true);
const strange = values.door?.find(door => !DOORS.some(known => known === door));
if (strange !== undefined) throw new Error(`--door ${strange} is none of ${DOORS.join(', ')}`);

const report = await runConsistency({
  seed: Number(values.seed),
  durationMs: Number(values.minutes) * 60_000,
  replicas: Number(values.replicas),
  doors,
  onLine: line => process.stderr.write(`${line}\n`),
});
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
process.stderr.write('\ndoor       level      reads     stale  stale (own)  non-monotonic  over the bound  lost\n');
for (const [door, { levels }] of Object.entries(report.doors)) {
  for (const level of LEVELS) {
    const { reads, stale, staleOwn, nonMonotonic, overBound, lost } = levels[level];
    if (reads === 0) continue;
    const cells = [String(reads).padStart(7), String(stale).padStart(9), String(staleOwn).padStart(12), String(nonMonotonic).padStart(14)];
    const bound = String(overBound).padStart(15);
    process.stderr.write(`${door.padEnd(11)}${level.padEnd(9)}${cells.join(' ')} ${bound} ${String(lost).padStart(5)}\n`);
  }
}
process.stderr.write(report.clean ? '\nevery promise was kept\n' : '\nPROMISES WERE BROKEN\n');
process.exitCode = report.clean ? 0 : 1;
