const BYTE_UNITS = ['B', 'kB', 'MB', 'GB', 'TB'] as const;

/** A number of bytes in powers of 1024, as PostgreSQL's pg_size_pretty counts them: `0 B`, `1.5 kB`, `23 MB`. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < BYTE_UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${short(value)} ${BYTE_UNITS[unit]}`;
}

/** A duration: `7 ms`, `1.25 s`, `2 min 5 s`, `3 h 20 min`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  const seconds = Math.floor(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 1440
    ? `${Math.floor(minutes / 60)} h ${minutes % 60} min`
    : `${Math.floor(minutes / 1440)} d ${Math.floor((minutes % 1440) / 60)} h`;
}

/** Events per second; null when it is not known yet. */
export function formatRate(perSecond: number | null): string {
  if (perSecond === null) return '–';
  if (perSecond > 0 && perSecond < 10) return perSecond.toFixed(1).replace('.0', '');
  return formatCount(perSecond);
}

/** A whole number with thousands apart: `12,345`. */
export function formatCount(count: number): string {
  return Math.round(count).toLocaleString('en-US');
}

/** A share between 0 and 1 as a percentage that says 100 % only when it is all. */
export function formatShare(share: number): string {
  if (share > 0.99 && share < 1) return `${(Math.floor(share * 1000) / 10).toFixed(1)} %`;
  return `${Math.round(share * 100)} %`;
}

/** Wall clock in the reader's own time zone: `14:03:07`, with milliseconds when asked. */
export function formatClock(atMs: number, precision: 'seconds' | 'milliseconds' = 'seconds'): string {
  const at = new Date(atMs);
  const time = [at.getHours(), at.getMinutes(), at.getSeconds()].map(part => String(part).padStart(2, '0')).join(':');
  return precision === 'seconds' ? time : `${time}.${String(at.getMilliseconds()).padStart(3, '0')}`;
}

/** `n2`, `n2 and n3`, `n2, n3 and n4`. */
export function formatList(names: readonly string[]): string {
  if (names.length < 2) return names[0] ?? '';
  return `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}

/** `1 replica`, `2 replicas`. */
export function plural(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`;
}

function short(value: number): string {
  return value < 10 && !Number.isInteger(value) ? value.toFixed(1) : String(Math.round(value));
}
