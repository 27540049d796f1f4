/** Upper bounds of the buckets, in milliseconds; what took longer than the last is counted behind it. */
export const BUCKETS_MS: readonly number[] = [0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 5000, 30_000];

/** How long something took, how often. One array is all it needs, so that noting costs nothing worth measuring. */
export interface Histogram {
  /** Per bucket, not cumulative; one more than there are bounds. */
  readonly counts: number[];
  sumMs: number;
}

export function newHistogram(): Histogram {
  return { counts: BUCKETS_MS.map(() => 0).concat(0), sumMs: 0 };
}

/** Notes that it took so many milliseconds once. */
export function observe(histogram: Histogram, ms: number): void {
  let bucket = 0;
  while (bucket < BUCKETS_MS.length && ms > (BUCKETS_MS[bucket] as number)) bucket += 1;
  histogram.counts[bucket] = (histogram.counts[bucket] ?? 0) + 1;
  histogram.sumMs += ms;
}

/** How often altogether. */
export function observed({ counts }: Histogram): number {
  return counts.reduce((sum, count) => sum + count, 0);
}

export function addHistograms(a: Histogram, b: Histogram): Histogram {
  return { counts: a.counts.map((count, i) => count + (b.counts[i] ?? 0)), sumMs: a.sumMs + b.sumMs };
}
