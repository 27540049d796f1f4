import type { StatusDocument, StatusSample } from '../../../server/src/api/types.ts';

/** What is kept of one status document for the charts and the rates. */
export interface Sample extends StatusSample {
  readonly rates: Rates | null;
}

/** Statements per second. */
export interface Rates {
  readonly writes: number;
  readonly reads: Readonly<Record<string, number>>;
  readonly readsTotal: number;
  /** The share of the reads that replicas answered, 0 to 1; null when there were none, or when the primary has changed meanwhile. */
  readonly onReplicas: number | null;
}

/** How long samples are kept. */
export const SAMPLE_WINDOW_MS = 300_000;
/** And how many at most, should the page be asked to poll faster. */
export const SAMPLES_MAX = 900;
/** Rates are taken over at least this long: over less, the moment of the poll shows more than the traffic does. */
const RATE_SPAN_MS = 1900;
/** A gap longer than this (a page asleep, a supervisor away) says nothing about the rate in it. */
const RATE_GAP_MAX_MS = 10_000;

/** The samples with one more behind them, those that are too old or too many left out. */
export function withSample(samples: readonly Sample[], status: StatusDocument, atMs: number): readonly Sample[] {
  const next = sampleOf(samples, status, atMs);
  const kept = samples.filter(sample => sample.atMs >= atMs - SAMPLE_WINDOW_MS && sample.atMs < atMs);
  return [...kept.slice(-(SAMPLES_MAX - 1)), next];
}

function sampleOf(earlier: readonly Sample[], status: StatusDocument, atMs: number): Sample {
  const { router } = status;
  const lag = Object.fromEntries(status.members.filter(m => m.role === 'replica').map(m => [m.id, { bytes: m.lagBytes, ms: m.lagMs }]));
  const bare: Sample = {
    atMs,
    primary: status.primary,
    routerPid: router.pid,
    writes: router.writes,
    reads: router.reads,
    lag,
    rates: null,
  };
  return rated(earlier, bare);
}

/** What was seen before the page was opened, in front of what it has seen itself. */
export function withPast(samples: readonly Sample[], past: readonly StatusSample[]): readonly Sample[] {
  const since = samples[0]?.atMs ?? Number.POSITIVE_INFINITY;
  const earlier: Sample[] = [];
  for (const sample of past) if (sample.atMs < since) earlier.push(rated(earlier, { ...sample, rates: null }));
  return [...earlier, ...samples].slice(-SAMPLES_MAX);
}

function rated(earlier: readonly Sample[], bare: Sample): Sample {
  const base = earlier.findLast(sample => sample.atMs <= bare.atMs - RATE_SPAN_MS);
  return base ? { ...bare, rates: ratesBetween(base, bare) } : bare;
}

/** Rates from the differences of two samples' counters; null when they do not tell: too close, too far apart, or a router that began anew. */
function ratesBetween(from: Sample, to: Sample): Rates | null {
  const elapsedMs = to.atMs - from.atMs;
  const restarted = from.routerPid !== to.routerPid || to.writes < from.writes;
  if (elapsedMs < RATE_SPAN_MS || elapsedMs > RATE_GAP_MAX_MS || restarted) return null;
  const perSecond = (after: number, before: number): number => (Math.max(0, after - before) * 1000) / elapsedMs;
  const reads = Object.fromEntries(Object.entries(to.reads).map(([id, count]) => [id, perSecond(count, from.reads[id] ?? 0)]));
  const onReplicas = from.primary === to.primary ? replicaShare(reads, to.primary) : null;
  return { writes: perSecond(to.writes, from.writes), reads, readsTotal: sumOf(reads), onReplicas };
}

function replicaShare(reads: Readonly<Record<string, number>>, primary: string | null): number | null {
  const total = sumOf(reads);
  return total === 0 ? null : 1 - (primary === null ? 0 : (reads[primary] ?? 0)) / total;
}

function sumOf(rates: Readonly<Record<string, number>>): number {
  return Object.values(rates).reduce((sum, rate) => sum + rate, 0);
}

/** One line of a chart for each name: aligned columns, as uPlot wants them, with x in seconds. */
export function columnsOf(
  samples: readonly Sample[],
  names: readonly string[],
  valueOf: (sample: Sample, name: string) => number | null,
): (number | null)[][] {
  return [samples.map(sample => sample.atMs / 1000), ...names.map(name => samples.map(sample => valueOf(sample, name)))];
}
