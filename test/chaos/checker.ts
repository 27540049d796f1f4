/** What became of one append, as its client was told. */
export type Outcome = 'acknowledged' | 'rolled-back' | 'unknown' | 'pending';

export interface Append {
  readonly key: number;
  /** Unique in the whole run: `writer:number`. */
  readonly item: string;
  readonly sentAtMs: number;
  readonly endedAtMs: number;
  readonly outcome: Outcome;
}

/** The whole list of one key, as somebody read it. */
export interface ListRead {
  readonly key: number;
  readonly sentAtMs: number;
  readonly items: readonly string[];
}

export interface History {
  readonly appends: readonly Append[];
  readonly reads: readonly ListRead[];
  /** The lists on the primary at the very end. */
  readonly final: ReadonlyMap<number, readonly string[]>;
  /** Who was elected for which term, as often as somebody said so. */
  readonly elections: readonly { readonly term: number; readonly primary: string }[];
}

export interface Verdict {
  /** Acknowledged and not there. */
  readonly lost: readonly string[];
  /** There more than once. */
  readonly doubled: readonly string[];
  /** There, though the client was told that it was rolled back. */
  readonly undead: readonly string[];
  /** Reads that miss an append which was acknowledged before they began. */
  readonly stale: readonly string[];
  /** Reads that are no beginning of the final list: an order that changed, or something that was shown and is gone. */
  readonly contradicted: readonly string[];
  /** Terms with more than one primary. */
  readonly splitTerms: readonly number[];
}

/** Holds what clients saw against what is there in the end. Pure. */
export function check(history: History): Verdict {
  const sets = new Map([...history.final].map(([key, items]) => [key, new Set(items)]));
  const isThere = ({ key, item }: Append): boolean => sets.get(key)?.has(item) ?? false;
  return {
    lost: history.appends.filter(a => a.outcome === 'acknowledged' && !isThere(a)).map(a => a.item),
    doubled: [...history.final.values()].flatMap(twice),
    undead: history.appends.filter(a => a.outcome === 'rolled-back' && isThere(a)).map(a => a.item),
    stale: staleReads(history),
    contradicted: history.reads
      .filter(read => read.items.some((item, i) => listOf(history, read.key)[i] !== item))
      .map(read => `key ${read.key} at ${Math.round(read.sentAtMs)} ms`),
    splitTerms: splitTerms(history.elections),
  };
}

function twice(items: readonly string[]): readonly string[] {
  const seen = new Set<string>();
  return items.filter(item => seen.size === seen.add(item).size);
}

export function isClean(verdict: Verdict): boolean {
  return Object.values(verdict).every(found => found.length === 0);
}

function listOf(history: History, key: number): readonly string[] {
  return history.final.get(key) ?? [];
}

function staleReads(history: History): readonly string[] {
  const acknowledged = byKey(history.appends.filter(a => a.outcome === 'acknowledged'));
  return history.reads.flatMap(read => {
    const seen = new Set(read.items);
    const missed = (acknowledged.get(read.key) ?? []).find(a => a.endedAtMs < read.sentAtMs && !seen.has(a.item));
    return missed ? [`key ${read.key} at ${Math.round(read.sentAtMs)} ms misses ${missed.item}`] : [];
  });
}

function byKey(appends: readonly Append[]): ReadonlyMap<number, readonly Append[]> {
  const groups = new Map<number, Append[]>();
  for (const append of appends) {
    const group = groups.get(append.key);
    if (group) group.push(append);
    else groups.set(append.key, [append]);
  }
  return groups;
}

function splitTerms(elections: History['elections']): readonly number[] {
  const primaries = new Map<number, Set<string>>();
  for (const { term, primary } of elections) primaries.set(term, (primaries.get(term) ?? new Set()).add(primary));
  return [...primaries].filter(([, set]) => set.size > 1).map(([term]) => term);
}

/** The longest time without an acknowledged append that touches the window, in milliseconds. */
export function longestGapMs(appends: readonly Append[], fromMs: number, toMs: number): number {
  const times = appends
    .filter(a => a.outcome === 'acknowledged')
    .map(a => a.endedAtMs)
    .sort((a, b) => a - b);
  let longest = 0;
  for (let i = 1; i < times.length; i++) {
    if (times[i]! >= fromMs && times[i - 1]! <= toMs) longest = Math.max(longest, times[i]! - times[i - 1]!);
  }
  return longest;
}
