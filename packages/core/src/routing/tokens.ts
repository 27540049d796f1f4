import { formatLsn, parseLsn } from '../cluster/lsn.ts';
import type { Floor } from './floors.ts';

/** Longest token that is read at all. */
export const MAX_TOKEN_LENGTH = 128;

/** A floor on its way between processes, bound to one cluster: `u1:<system identifier>:<timeline>:<lsn>`. */
export interface Token {
  /** pg_control's system identifier, as decimal text; an LSN of another cluster means nothing here. */
  readonly systemIdentifier: string;
  readonly floor: Floor;
}

export type TokenReading =
  | { readonly ok: true; readonly floor: Floor }
  | { readonly ok: false; readonly problem: 'malformed' | 'other-cluster'; readonly message: string };

const TOKEN_TEXT = /^u1:(\d{1,20}):(\d{1,10}):([0-9A-F]{1,8}\/[0-9A-F]{1,8})$/;
const MAX_TIMELINE = 0xffffffff;

export function formatToken(token: Token): string {
  return `u1:${token.systemIdentifier}:${token.floor.timeline}:${formatLsn(token.floor.lsn)}`;
}

/** Reads a token for the cluster with this system identifier. Never throws: tokens come from outside. */
export function readToken(text: string, systemIdentifier: string): TokenReading {
  const match = text.length <= MAX_TOKEN_LENGTH ? TOKEN_TEXT.exec(text) : null;
  const timeline = Number(match?.[2]);
  if (!match || timeline > MAX_TIMELINE) return { ok: false, problem: 'malformed', message: 'not a token of Understudy' };
  if (match[1] !== systemIdentifier) return { ok: false, problem: 'other-cluster', message: 'the token was made by another cluster' };
  return { ok: true, floor: { timeline, lsn: parseLsn(match[3] as string) } };
}
