const UNITS: Readonly<Record<string, number>> = { '': 1, b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3, tb: 1024 ** 4 };

const SIZE_TEXT = /^(\d+(?:\.\d+)?)\s*(b|kb|mb|gb|tb)?$/i;

/** Reads a size as PostgreSQL writes them: a number with B, kB, MB, GB or TB (powers of 1024), bytes without a unit. Null on anything else. */
export function parseBytes(text: string): number | null {
  const match = SIZE_TEXT.exec(text.trim());
  if (!match) return null;
  const bytes = Number(match[1]) * UNITS[(match[2] ?? '').toLowerCase()]!;
  return Number.isSafeInteger(Math.round(bytes)) ? Math.round(bytes) : null;
}

/** A size for a person: at most four significant characters and a unit, e.g. `0 B`, `1.5 kB`, `24 MB`. */
export function formatBytes(bytes: number): string {
  const names = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < names.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 10 ? Math.round(value) : value.toFixed(1)} ${names[unit]}`;
}
