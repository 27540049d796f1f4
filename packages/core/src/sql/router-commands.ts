/** How a session or statement wants to be routed. */
export type RouteWish = 'auto' | 'primary' | 'replica';

/** How fresh a read must be; see routing/levels.ts for what each means. */
export type ConsistencyWish = 'eventual' | 'bounded' | 'session' | 'strong';

/** A setting of the router itself, changed by `SET understudy.… = …`. `null` resets to the session's default. */
export type RouterSetting =
  | { readonly name: 'route'; readonly value: RouteWish | null }
  | { readonly name: 'consistency'; readonly value: ConsistencyWish | null }
  | { readonly name: 'max_lag_ms'; readonly value: number | null }
  | { readonly name: 'token'; readonly value: string | null };

export type RouterVariable = 'route' | 'consistency' | 'max_lag_ms' | 'token' | 'last_route';
export type RouterTable = 'pools' | 'clients' | 'servers' | 'stats';

/** A statement that the router answers by itself. `invalid` is answered with SQLSTATE 22023 (bad value) or 42704 (no such name). */
export type RouterCommand =
  | { readonly kind: 'set'; readonly setting: RouterSetting; readonly scope: 'session' | 'transaction' }
  | { readonly kind: 'show'; readonly variable: RouterVariable }
  | { readonly kind: 'show-table'; readonly table: RouterTable }
  | { readonly kind: 'invalid'; readonly sqlState: '22023' | '42704'; readonly message: string };

const ROUTES: readonly string[] = ['auto', 'primary', 'replica'] satisfies RouteWish[];
const CONSISTENCIES: readonly string[] = ['eventual', 'bounded', 'session', 'strong'] satisfies ConsistencyWish[];
const VARIABLES: readonly string[] = ['route', 'consistency', 'max_lag_ms', 'token', 'last_route'] satisfies RouterVariable[];
const TABLES: readonly string[] = ['pools', 'clients', 'servers', 'stats'] satisfies RouterTable[];

/** Longest bound that may be asked for: a day. */
const MAX_LAG_LIMIT_MS = 86_400_000;
const MAX_TOKEN_LENGTH = 256;

export function routeWish(text: string): RouteWish | null {
  const folded = text.toLowerCase();
  return ROUTES.includes(folded) ? (folded as RouteWish) : null;
}

export function consistencyWish(text: string): ConsistencyWish | null {
  const folded = text.toLowerCase();
  return CONSISTENCIES.includes(folded) ? (folded as ConsistencyWish) : null;
}

/** `SET understudy.<name> = <words>`. */
export function routerSet(name: string, words: readonly string[], scope: 'session' | 'transaction'): RouterCommand {
  const value = words.length === 1 ? (words[0] as string).trim() : '';
  if (name === 'last_route') return invalid('22023', 'understudy.last_route can only be shown');
  const setting = routerSetting(name, value);
  if (setting === null) return unknownName(name);
  if (setting.value === null) return invalid('22023', `invalid value for understudy.${name}: "${words.join(', ')}" (${expected(name)})`);
  return { kind: 'set', setting, scope };
}

/** PRIMARY is a reserved word, so that the grammar wants it quoted; nobody writes it so. Takes a fingerprint, whose spacing is known. */
export function quoteReservedRoute(sql: string): string {
  return sql.replace(/^(set (?:local |session )?understudy\.route (?:=|to) )primary$/, "$1'primary'");
}

/** `RESET understudy.<name>` and `SET understudy.<name> TO DEFAULT`. */
export function routerReset(name: string, scope: 'session' | 'transaction'): RouterCommand {
  const setting = routerSetting(name, '');
  return setting === null ? unknownName(name) : { kind: 'set', setting: { ...setting, value: null }, scope };
}

/** `SHOW understudy.<name>`. */
export function routerShow(name: string): RouterCommand {
  if (VARIABLES.includes(name)) return { kind: 'show', variable: name as RouterVariable };
  if (TABLES.includes(name)) return { kind: 'show-table', table: name as RouterTable };
  return unknownName(name);
}

/** The setting with its value, a null value when that is not valid; null when there is no such setting. */
function routerSetting(name: string, value: string): RouterSetting | null {
  switch (name) {
    case 'route':
      return { name, value: routeWish(value) };
    case 'consistency':
      return { name, value: consistencyWish(value) };
    case 'max_lag_ms':
      return { name, value: /^\d{1,9}$/.test(value) && Number(value) <= MAX_LAG_LIMIT_MS ? Number(value) : null };
    case 'token':
      return { name, value: value !== '' && value.length <= MAX_TOKEN_LENGTH ? value : null };
    default:
      return null;
  }
}

function expected(name: string): string {
  switch (name) {
    case 'route':
      return `one of ${ROUTES.join(', ')}`;
    case 'consistency':
      return `one of ${CONSISTENCIES.join(', ')}`;
    case 'max_lag_ms':
      return `a whole number from 0 to ${MAX_LAG_LIMIT_MS}`;
    default:
      return 'a token that SHOW understudy.token gave';
  }
}

function unknownName(name: string): RouterCommand {
  return invalid('42704', `unrecognized name understudy.${name}; there are ${[...VARIABLES, ...TABLES].join(', ')}`);
}

function invalid(sqlState: '22023' | '42704', message: string): RouterCommand {
  return { kind: 'invalid', sqlState, message };
}
