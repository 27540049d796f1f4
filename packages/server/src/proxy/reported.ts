/** What a server has reported of its settings (ParameterStatus). */
export type Reported = ReadonlyMap<string, string>;

/** Different sets that are kept, so that clients and backends that know the same share one. */
const MAX_SHARED = 1_000;
const shared = new Map<string, Reported>();

export const NOTHING_REPORTED: Reported = new Map();

/** The same object for the same content. A client of the proxy can always write, so nobody hears of a standby. */
export function reportedParameters(before: Reported, news: Iterable<readonly [name: string, value: string]>): Reported {
  const values = new Map(before);
  for (const [name, value] of news) values.set(name, name === 'in_hot_standby' ? 'off' : value);
  const signature = JSON.stringify([...values].sort(([a], [b]) => (a < b ? -1 : 1)));
  const found = shared.get(signature);
  if (found !== undefined) return found;
  if (shared.size >= MAX_SHARED) shared.clear();
  shared.set(signature, values);
  return values;
}
