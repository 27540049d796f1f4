import type { RouteCounts } from '@understudy/client';
import type { Tally } from './traffic.ts';

/** The value below which so many of all lie, 0 to 1. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

/** Reads of each server between two looks, as `n2 410  n3 398`. */
export function perServer(before: RouteCounts, now: RouteCounts, seconds: number): string {
  const servers = Object.keys(now.reads).sort();
  return servers.map(id => `${id} ${Math.round(((now.reads[id] ?? 0) - (before.reads[id] ?? 0)) / seconds)}`).join('  ');
}

/** One second of traffic as one line. `primary`: who took the last write. */
export function liveLine(visitors: number, tally: Tally, servers: string, seconds: number, primary: string): string {
  const { reads, writes, stale, failedReads, retriedWrites, failedWrites, latenciesMs } = tally;
  const ms = (share: number): string => quantile(latenciesMs, share).toFixed(1);
  const trouble =
    failedReads + retriedWrites === 0 ? '' : ` · failed reads ${failedReads}, writes made again ${retriedWrites}, in vain ${failedWrites}`;
  return (
    `${visitors} visitors · pages/s ${Math.round(reads / seconds)}, writes/s ${(writes / seconds).toFixed(1)} by ${primary || 'nobody yet'} · reads/s by server: ${servers}` +
    ` · stale ${stale} · p50 ${ms(0.5)} ms, p99 ${ms(0.99)} ms${trouble}`
  );
}
