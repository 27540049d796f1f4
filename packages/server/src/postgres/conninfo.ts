/** Options of a libpq connection string (`key='value' …`), as primary_conninfo and pg_stat_wal_receiver.conninfo hold them. */
export type Conninfo = Readonly<Record<string, string>>;

/** Writes a libpq connection string with every value quoted. */
export function formatConninfo(options: Conninfo): string {
  return Object.entries(options)
    .map(([key, value]) => `${key}='${value.replace(/[\\']/g, '\\$&')}'`)
    .join(' ');
}

/** Reads a libpq connection string, quoted or not (fe-connect.c, conninfo_parse). Text that is no option is skipped. */
export function parseConninfo(text: string): Conninfo {
  const options: Record<string, string> = {};
  for (const match of text.matchAll(/(\w+)\s*=\s*(?:'((?:\\.|[^'\\])*)'|((?:\\.|[^\s\\])*))/gs)) {
    const key = match[1];
    if (key !== undefined) options[key] = (match[2] ?? match[3] ?? '').replace(/\\(.)/gs, '$1');
  }
  return options;
}
