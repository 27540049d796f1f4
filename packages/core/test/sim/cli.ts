import { describeFault } from './faults.ts';
import { MUTATIONS } from './mutations.ts';
import { runScenario, runSeed, shrink } from './run.ts';

const args = process.argv.slice(2);
const option = (name: string): string | undefined => {
  const at = args.indexOf(`--${name}`);
  return at < 0 ? undefined : args[at + 1];
};

const mutationName = option('mutation');
const mutation = mutationName === undefined ? undefined : new MUTATIONS[mutationName]!();
const first = Number(option('seed') ?? 1);
const count = Number(option('seeds') ?? (option('seed') === undefined ? 1000 : 1));
const startedMs = performance.now();
let [violations, failovers, acknowledgements, virtualMs] = [0, 0, 0, 0];

for (let seed = first; seed < first + count; seed++) {
  const outcome = runSeed(seed, mutation, args.includes('--trace'));
  if (args.includes('--trace')) console.log(outcome.lines.join('\n'));
  failovers += outcome.failovers;
  acknowledgements += outcome.acknowledgements;
  virtualMs += outcome.virtualMs;
  if (outcome.violation === null) continue;
  violations++;
  console.log(`seed ${seed}: ${outcome.violation.message}`);
  if (args.includes('--keep-going')) continue;
  const scenario = shrink(seed, mutation);
  console.log(scenario.faults.map(fault => `  ${describeFault(fault)}`).join('\n'));
  console.log(runScenario(scenario, mutation, true).lines.slice(-80).join('\n'));
  break;
}

const seconds = (performance.now() - startedMs) / 1000;
console.log(
  `${count} seeds from ${first}, ${violations} with a violation; ${failovers} elections, ${acknowledgements} acknowledged writes, ` +
    `${(virtualMs / 3_600_000).toFixed(1)} hours of virtual time in ${seconds.toFixed(1)} s (${(count / seconds).toFixed(0)} seeds/s)`,
);
process.exitCode = violations > 0 ? 1 : 0;
