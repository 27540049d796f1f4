/** Statistics of rounds. A round that failed is not among the numbers given. */

export function quantile(values: readonly number[], share: number): number {
  if (values.length === 0) return Number.NaN;
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const low = Math.floor(at);
  const below = sorted[low] as number;
  const above = sorted[Math.min(low + 1, sorted.length - 1)] as number;
  return below + (above - below) * (at - low);
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

export interface Ratio {
  readonly median: number;
  readonly least: number;
  readonly greatest: number;
}

/**
 * How many times `ours` is `theirs`, round by round: both of one round ran within seconds of each other, so what disturbed the machine
 * disturbed both. Null when no round has both.
 */
export function ratioOfRounds(ours: readonly (number | null)[], theirs: readonly (number | null)[]): Ratio | null {
  const ratios: number[] = [];
  for (const [round, our] of ours.entries()) {
    const their = theirs[round] ?? null;
    if (our !== null && their !== null && their > 0) ratios.push(our / their);
  }
  if (ratios.length === 0) return null;
  return { median: median(ratios), least: Math.min(...ratios), greatest: Math.max(...ratios) };
}

/** The order of the peers in a round: each round begins with another, so that none always runs after the same neighbour. */
export function rotated<T>(items: readonly T[], round: number): readonly T[] {
  const from = items.length === 0 ? 0 : round % items.length;
  return [...items.slice(from), ...items.slice(0, from)];
}
