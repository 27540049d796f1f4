import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { thisMachine } from './machine.ts';

/** Everything that is measured, in the order in which the report tells it. */
const SECTIONS = {
  results: 'One load, through each way',
  scaling: 'More replicas',
  client: 'The in-process client',
  failover: 'Failover on one machine',
  machines: 'Failover between machines',
  fleet: 'Large fleets, simulated',
} as const;

export type Section = keyof typeof SECTIONS;

const REPORT = 'report.md';

/** Leaves the numbers and the words of one bench, and makes the report anew out of all that have run so far. */
export function publish(directory: string, section: Section, numbers: object, markdown: string): void {
  mkdirSync(directory, { recursive: true });
  const takenAt = new Date().toISOString();
  writeFileSync(join(directory, `${section}.json`), `${JSON.stringify({ takenAt, machine: thisMachine(), ...numbers }, null, 1)}\n`);
  writeFileSync(join(directory, `${section}.md`), `${markdown.trimEnd()}\n`);
  const parts = Object.entries(SECTIONS).flatMap(([name, title]) => {
    const file = join(directory, `${name}.md`);
    return existsSync(file) ? [`## ${title}\n\n${readFileSync(file, 'utf8')}`] : [];
  });
  writeFileSync(join(directory, REPORT), `# What was measured\n\n${parts.join('\n')}`);
}

/** A table in Markdown; the first row is its head. */
export function markdownTable([head = [], ...rows]: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |\n`;
  return line(head) + line(head.map(() => '---')) + rows.map(line).join('');
}
