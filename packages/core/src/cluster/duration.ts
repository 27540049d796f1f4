const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 };

/** Reads a time such as 30s, 15min or 1h, in milliseconds; null when it is none. A bare number is not: its unit would be a guess. */
export function parseDuration(text: string): number | null {
  const match = /^(\d{1,9})\s*(ms|s|min|h|d)$/.exec(text.trim());
  return match ? Number(match[1]) * (UNITS_MS[match[2]!] as number) : null;
}

/** For people: in the greatest unit that leaves a whole number. */
export function formatDuration(ms: number): string {
  const [unit, size] = Object.entries(UNITS_MS).findLast(([, each]) => ms % each === 0) ?? ['ms', 1];
  return ms === 0 ? '0 s' : `${ms / size} ${unit}`;
}
