import { expect } from 'vitest';
import { describeFault } from './faults.ts';
import { runScenario, runSeed, shrink } from './run.ts';

/** Runs so many seeds; the first that breaks an invariant is shrunk and told. */
export function seedsHold(first: number, count: number): { readonly elections: number; readonly acknowledgements: number } {
  let [elections, acknowledgements] = [0, 0];
  for (let seed = first; seed < first + count; seed++) {
    const outcome = runSeed(seed);
    elections += outcome.failovers;
    acknowledgements += outcome.acknowledgements;
    if (outcome.violation === null) continue;
    const scenario = shrink(seed);
    const story = [...scenario.faults.map(describeFault), ...runScenario(scenario, undefined, true).lines.slice(-60)];
    expect.fail(`seed ${seed}: ${outcome.violation.message}\n${story.join('\n')}`);
  }
  return { elections, acknowledgements };
}
