// npm run chaos -- [--minutes 10] [--seed 1] [--replicas 2] [--report DIR]
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { reportPage } from './report.ts';
import { runChaos } from './run.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: '1' },
    replicas: { type: 'string', default: '2' },
    report: { type: 'string', default: 'test-results/chaos' },
  },
});

const report = await runChaos({
  seed: Number(values.seed),
  durationMs: Number(values.minutes) * 60_000,
  replicas: Number(values.replicas),
  scope: 'all',
  onLine: line => process.stderr.write(`${line}\n`),
});
const { appends: _, marks: __, ...summary } = report;
mkdirSync(values.report, { recursive: true });
writeFileSync(join(values.report, 'report.json'), `${JSON.stringify(summary, null, 2)}\n`);
writeFileSync(join(values.report, 'report.html'), reportPage(report));
process.stdout.write(`${JSON.stringify(summary, null, 2)}\n`);
process.stderr.write(`${report.clean ? 'clean' : 'NOT CLEAN'}; see ${join(values.report, 'report.html')}\n`);
process.exitCode = report.clean ? 0 : 1;
