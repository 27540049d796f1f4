import { type ConsistencyWish, consistencyWish, type RouteWish, routeWish } from './router-commands.ts';

/** What comments in front of a statement ask for, such as `understudy:primary` or `understudy:consistency=eventual`. */
export interface Hints {
  readonly route: RouteWish | null;
  readonly consistency: ConsistencyWish | null;
}

export const NO_HINTS: Hints = { route: null, consistency: null };

/**
 * Reads the hints of the comments in front of a text: directives parted by spaces, each `understudy:primary`, `understudy:replica`,
 * `understudy:auto` or `understudy:consistency=LEVEL`. What is not understood is left alone: it is a comment. The last one of a kind counts.
 */
export function leadingHints(sql: string): Hints {
  let hints = NO_HINTS;
  for (const word of leadingComments(sql).split(/\s+/)) {
    if (word.slice(0, HINT_PREFIX.length).toLowerCase() !== HINT_PREFIX) continue;
    const directive = word.slice(HINT_PREFIX.length);
    const route = routeWish(directive);
    const [name = '', value = ''] = directive.split('=', 2);
    const consistency = name.toLowerCase() === 'consistency' ? consistencyWish(value) : null;
    if (route || consistency) hints = { route: route ?? hints.route, consistency: consistency ?? hints.consistency };
  }
  return hints;
}

const HINT_PREFIX = 'understudy:';

/** The insides of the comments before the first token. */
function leadingComments(sql: string): string {
  const insides: string[] = [];
  for (let at = 0; ; ) {
    while (at < sql.length && ' \t\n\r\f\v'.includes(sql.charAt(at))) at++;
    const opening = sql.slice(at, at + 2);
    if (opening !== '--' && opening !== '/*') return insides.join(' ');
    const closing = opening === '--' ? '\n' : '*/';
    const end = sql.indexOf(closing, at + 2);
    if (end < 0) return insides.join(' ');
    insides.push(sql.slice(at + 2, end));
    at = end + closing.length;
  }
}
