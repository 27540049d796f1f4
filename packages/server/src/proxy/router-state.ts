import type { ConsistencyLevel } from '@understudy/core/routing';
import type { ConsistencyWish, RouterSetting, RouterVariable, RouteWish } from '@understudy/core/sql';
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

const OPTION = /(?:^|\s)(?:-c\s*|--)understudy\.(route|consistency)=([a-z]+)/g;

/** `understudy.route` and `understudy.consistency` of a startup message: as parameters, or as `-c` in its options. */
export function routerParameters(parameters: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const [, name, value] of (parameters.get('options') ?? '').matchAll(OPTION)) found.set(name as string, value as string);
  for (const name of ['route', 'consistency']) {
    const value = parameters.get(`understudy.${name}`);
    if (value !== undefined) found.set(name, value);
  }
  return found;
}
