/** The levels of the product, and `token`: a session read that was handed the token of another session's write. */
export const LEVELS = ['strong', 'session', 'token', 'bounded', 'eventual'] as const;
export type Level = (typeof LEVELS)[number];

/** What a read must not miss, noted before it was sent. */
export interface Expectation {
  /** The greatest number of the key whose write had been acknowledged to anybody. */
  readonly acknowledged: number;
  /** The same of what had been acknowledged so long before that a `bounded` read must see it. */
  readonly acknowledgedBeforeBound: number;
  /** What the session itself had written and been told of, or was handed by a token. */
  readonly own: number;
  /** The greatest number that the session had read. */
  readonly seen: number;
}

export interface CounterRead extends Expectation {
  readonly level: Level;
  readonly value: number;
}

/** A whole list, whose one writer appends 1, 2, 3, … in order. */
export interface ListRead {
  readonly level: Level;
  readonly items: readonly number[];
  /** Numbers whose append was acknowledged when the answer came. */
  readonly acknowledged: ReadonlySet<number>;
}

/** What can be wrong with a read. Which of these a level promises never to happen stands in {@link PROMISES}. */
export interface Anomalies {
  /** Misses something that was acknowledged to anybody before the read began. */
  stale: number;
  /** Misses something of its own session, or of the token. */
  staleOwn: number;
  /** Older than what the session has read before. */
  nonMonotonic: number;
  /** Misses something that is older than the bound. */
  overBound: number;
  /** Shows a later append of a list and not an earlier one that was acknowledged. */
  lost: number;
}

export type Anomaly = keyof Anomalies;

export const PROMISES: Readonly<Record<Level, readonly Anomaly[]>> = {
  strong: ['stale', 'staleOwn', 'nonMonotonic', 'overBound', 'lost'],
  session: ['staleOwn', 'nonMonotonic', 'lost'],
  token: ['staleOwn', 'nonMonotonic', 'lost'],
  bounded: ['overBound', 'lost'],
  eventual: ['lost'],
};

export function noAnomalies(): Anomalies {
  return { stale: 0, staleOwn: 0, nonMonotonic: 0, overBound: 0, lost: 0 };
}

/** Everything that is wrong with a read of a counter, promised or not. */
export function judgeCounter(read: CounterRead): readonly Anomaly[] {
  const found: Anomaly[] = [];
  if (read.value < read.acknowledged) found.push('stale');
  if (read.value < read.own) found.push('staleOwn');
  if (read.value < read.seen) found.push('nonMonotonic');
  if (read.value < read.acknowledgedBeforeBound) found.push('overBound');
  return found;
}

/** A list may end early, as it was then, but has no holes where something was acknowledged, and nothing twice or out of order. */
export function judgeList({ items, acknowledged }: ListRead): readonly Anomaly[] {
  const last = items.at(-1) ?? 0;
  const there = new Set(items);
  for (let n = 1; n < last; n++) if (acknowledged.has(n) && !there.has(n)) return ['lost'];
  return items.some((n, i) => i > 0 && n <= (items[i - 1] as number)) ? ['lost'] : [];
}

/** Counts of each level, with the words of the first few broken promises. */
export class Verdicts {
  readonly counts: Record<Level, Anomalies> = {
    strong: noAnomalies(),
    session: noAnomalies(),
    token: noAnomalies(),
    bounded: noAnomalies(),
    eventual: noAnomalies(),
  };
  readonly broken: string[] = [];

  note(level: Level, anomalies: readonly Anomaly[], words: () => string): void {
    for (const anomaly of anomalies) {
      this.counts[level][anomaly] += 1;
      if (PROMISES[level].includes(anomaly) && this.broken.length < 20) this.broken.push(`${level}: ${anomaly}: ${words()}`);
    }
  }

  /** Whether every promise was kept. */
  get kept(): boolean {
    return LEVELS.every(level => PROMISES[level].every(anomaly => this.counts[level][anomaly] === 0));
  }
}
