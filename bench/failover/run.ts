import { spawnSync } from 'node:child_process';
import { publish, type Section } from '../lib/publish.ts';
import type { Contender } from './contender.ts';
import { type Measurement, measure } from './measure.ts';
import { tables } from './table.ts';

/** Measures one contender, and tells each round as it ends. */
export async function measured<F extends string>(contender: Contender<F>, faults: readonly F[], rounds: number): Promise<Measurement> {
  note(`${contender.name}: starting`);
  return await measure(contender, {
    faults,
    rounds,
    onRound: (name, { fault, outageMs, phases }) => {
      const steps = Object.entries(phases).map(([step, ms]) => `${step} ${Math.round(ms)}`);
      note(`${name}, ${fault}: ${Math.round(outageMs)} ms${steps.length > 0 ? ` (${steps.join('; ')})` : ''}`);
    },
  });
}

/** Leaves every round and the tables in a directory, and prints the tables. `faults`: the words for each. */
export function report(
  directory: string,
  section: Section,
  measurements: readonly Measurement[],
  faults: Readonly<Record<string, string>>,
): void {
  const words = tables(measurements, faults);
  publish(directory, section, { measurements }, words);
  process.stdout.write(words);
}

export function has(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
}

export function note(line: string): void {
  process.stderr.write(`${line}\n`);
}
