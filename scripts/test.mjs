// Everything that CI runs, in order of cost. Stops at the first stage of checks that fails; of the tests all projects are run,
// so that one report names everything. Arguments are names of stages: `npm test -- unit e2e`.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const results = join(root, 'test-results');
const bin = name => join(root, 'node_modules', '.bin', name);

const CHECKS = {
  types: [
    ['tsc', ['-b']],
    ['tsc', ['-p', 'test']],
  ],
  lint: [
    ['oxlint', ['--deny-warnings']],
    ['biome', ['format', '.']],
    ['depcruise', ['packages', '--config', '.dependency-cruiser.cjs']],
    ['knip', []],
  ],
};
/** Stages of tests, and the projects of vitest.config.ts that each runs. */
const TESTS = { unit: ['unit'], sim: ['sim'], integration: ['integration'], e2e: ['e2e', 'e2e-serial'] };

const wanted = process.argv.slice(2);
const unknown = wanted.filter(name => !(name in CHECKS) && !(name in TESTS));
if (unknown.length > 0) {
  process.stderr.write(`unknown stage: ${unknown.join(', ')}; there are ${[...Object.keys(CHECKS), ...Object.keys(TESTS)].join(', ')}\n`);
  process.exit(2);
}
const isWanted = name => wanted.length === 0 || wanted.includes(name);

function step(name, command, args) {
  const startedAt = Date.now();
  process.stdout.write(`\n== ${name}: ${command} ${args.join(' ')}\n`);
  const { status } = spawnSync(bin(command), args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, FORCE_COLOR: '0', NO_COLOR: '1' },
  });
  process.stdout.write(`== ${name}: ${status === 0 ? 'ok' : 'FAILED'} in ${((Date.now() - startedAt) / 1000).toFixed(1)} s\n`);
  return status === 0;
}

for (const [name, commands] of Object.entries(CHECKS)) {
  if (isWanted(name) && !commands.every(([command, args]) => step(name, command, args))) process.exit(1);
}

rmSync(results, { recursive: true, force: true });
mkdirSync(results, { recursive: true });
const total = { passed: 0, failed: 0, skipped: 0 };
let ok = true;
for (const [stage, projects] of Object.entries(TESTS).filter(([name]) => isWanted(name))) {
  const file = join(results, `${stage}.json`);
  const passed = step(stage, 'vitest', [
    'run',
    ...projects.flatMap(name => ['--project', name]),
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${file}`,
  ]);
  ok &&= passed;
  try {
    const report = JSON.parse(readFileSync(file, 'utf8'));
    total.passed += report.numPassedTests;
    total.failed += report.numFailedTests;
    total.skipped += report.numPendingTests + report.numTodoTests;
  } catch {
    ok = false;
    process.stdout.write(`${stage} left no report\n`);
  }
}

if (process.env.CI === 'true' && total.skipped > 0) {
  process.stdout.write(`${total.skipped} tests were skipped; in CI none may be\n`);
  ok = false;
}
if (!ok && total.failed === 0) total.failed = 1;
process.stdout.write(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped\n`);
process.exit(ok ? 0 : 1);
