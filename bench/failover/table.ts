import { markdownTable } from '../lib/publish.ts';
import { type Measurement, OUTAGE_LIMIT_MS } from './measure.ts';

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

const ms = (value: number): string => (Number.isFinite(value) ? String(Math.round(value)) : `over ${OUTAGE_LIMIT_MS}`);
const count = (value: number | null): string => (value === null ? 'unknown' : String(value));

/** Outages and the steps of which they consist, as Markdown; `faults`: the words for each, in the order of the table. */
export function tables(measurements: readonly Measurement[], faults: Readonly<Record<string, string>>): string {
  const outages = [['fault of the primary', 'system', 'rounds', 'outage, median ms', 'worst ms']];
  const steps = [['fault of the primary', 'system', 'step', 'median ms', 'worst ms']];
  for (const [fault, text] of Object.entries(faults)) {
    for (const { contender, rounds } of measurements) {
      const own = rounds.filter(round => round.fault === fault);
      if (own.length === 0) continue;
      const values = own.map(round => round.outageMs);
      outages.push([text, contender, String(own.length), ms(median(values)), ms(Math.max(...values))]);
      for (const step of Object.keys(own.find(round => Object.keys(round.phases).length > 0)?.phases ?? {})) {
        const times = own.flatMap(round => round.phases[step] ?? []);
        steps.push([text, contender, step, ms(median(times)), ms(Math.max(...times))]);
      }
    }
  }
  const losses = [['system', 'acknowledged rows', 'lost through the router', 'lost by clients that stayed with the old primary']];
  for (const m of measurements) losses.push([m.contender, String(m.acknowledged), count(m.lost), count(m.lostPastTheRouter)]);
  return [outages, steps, losses]
    .filter(rows => rows.length > 1)
    .map(markdownTable)
    .join('\n');
}
