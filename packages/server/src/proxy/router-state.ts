import type { ConsistencyLevel } from '@understudy/core/routing';
import {
  type ConsistencyWish,
  ROUTER_PREFIX,
  type RouterSetting,
  type RouterVariable,
  type RouteWish,
  routerSet,
} from '@understudy/core/sql';
import type { LocalResult } from './local-answer.ts';

/** What a session has asked of the router (`SET understudy.…`). */
export interface RouterWishes {
  readonly route: RouteWish;
  readonly consistency: ConsistencyWish;
  readonly maxLagMs: number;
}

/** Where the last statement went and why. */
export interface LastRoute {
  readonly member: string;
  readonly because: string;
}

/** The wishes after a SET of anything but the token. */
export function applySetting(
  wishes: RouterWishes,
  setting: Exclude<RouterSetting, { name: 'token' }>,
  defaults: RouterWishes,
): RouterWishes {
  switch (setting.name) {
    case 'route':
      return { ...wishes, route: setting.value ?? defaults.route };
    case 'consistency':
      return { ...wishes, consistency: setting.value ?? defaults.consistency };
    case 'max_lag_ms':
      return { ...wishes, maxLagMs: setting.value ?? defaults.maxLagMs };
  }
}

export function levelOf(consistency: ConsistencyWish, maxLagMs: number): ConsistencyLevel {
  return consistency === 'bounded' ? { kind: 'bounded', maxLagMs } : { kind: consistency };
}

/** The answer to `SHOW understudy.…`. `token` is the session's own floor in text form. */
export function showVariable(variable: RouterVariable, wishes: RouterWishes, token: string, last: LastRoute | null): LocalResult {
  const column = `understudy.${variable}`;
  return { columns: [column], rows: [[valueOf(variable, wishes, token, last)]], tag: 'SHOW' };
}

function valueOf(variable: RouterVariable, wishes: RouterWishes, token: string, last: LastRoute | null): string {
  switch (variable) {
    case 'route':
      return wishes.route;
    case 'consistency':
      return wishes.consistency;
    case 'max_lag_ms':
      return String(wishes.maxLagMs);
    case 'token':
      return token;
    case 'last_route':
      return last === null ? 'none' : `${last.member}: ${last.because}`;
  }
}

const OPTION = /(?:^|\s)(?:-c\s*|--)understudy\.([a-z_]+)=(?:'([^']*)'|(\S+))/g;

/** What a client asks of the router when it connects. */
export type LoginWishes =
  | { readonly ok: true; readonly wishes: RouterWishes; readonly token: string | null }
  /** In the words of SET. */
  | { readonly ok: false; readonly message: string };

/** What the configuration says of sessions that ask for nothing. */
export interface LevelDefaults {
  readonly consistency: ConsistencyWish;
  readonly maxLagMs: number;
  readonly levels: {
    readonly roles: Readonly<Record<string, ConsistencyWish>>;
    readonly databases: Readonly<Record<string, ConsistencyWish>>;
  };
}

/**
 * The wishes of a new session: `understudy.…` of the startup message, as parameters or as `-c` in its options; else the level of its role, else of its
 * database, else of the cluster, as PostgreSQL orders its own settings.
 */
export function wishesAtLogin(parameters: ReadonlyMap<string, string>, defaults: LevelDefaults): LoginWishes {
  const user = parameters.get('user') ?? '';
  const { roles, databases } = defaults.levels;
  const consistency = own(roles, user) ?? own(databases, parameters.get('database') ?? user) ?? defaults.consistency;
  let wishes: RouterWishes = { route: 'auto', consistency, maxLagMs: defaults.maxLagMs };
  let token: string | null = null;
  for (const [name, value] of routerParameters(parameters)) {
    const command = routerSet(name, [value], 'session');
    if (command.kind === 'invalid') return { ok: false, message: command.message };
    if (command.kind !== 'set') continue;
    const { setting } = command;
    if (setting.name === 'token') token = setting.value;
    else wishes = applySetting(wishes, setting, wishes);
  }
  return { ok: true, wishes, token };
}

function own<T>(map: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(map, name) ? map[name] : undefined;
}

function routerParameters(parameters: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const [, name, quoted, plain] of (parameters.get('options') ?? '').matchAll(OPTION))
    found.set(name as string, (quoted ?? plain) as string);
  for (const [name, value] of parameters) if (name.startsWith(ROUTER_PREFIX)) found.set(name.slice(ROUTER_PREFIX.length), value);
  return found;
}
