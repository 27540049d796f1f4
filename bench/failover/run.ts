import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname } from 'node:path';
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

/** Leaves a file with every round, and prints the tables. `faults`: the words for each. */
export function report(file: string, measurements: readonly Measurement[], faults: Readonly<Record<string, string>>): void {
  mkdirSync(dirname(file), { recursive: true });
  const machine = { at: new Date().toISOString(), cpu: cpus()[0]?.model, cores: cpus().length };
  writeFileSync(file, `${JSON.stringify({ ...machine, measurements }, null, 2)}\n`);
  process.stdout.write(tables(measurements, faults));
}

export function has(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
}

export function note(line: string): void {
  process.stderr.write(`${line}\n`);
}
