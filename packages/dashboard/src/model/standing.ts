import type { MemberStatus, StatusDocument } from '../../../server/src/api/types.ts';
import { formatDuration } from './format.ts';

/** What sets a replica apart from one that simply follows the primary: `1 h delayed · streams from n2`. Null: nothing. */
export function standingOf({ applyDelayMs, cascade }: MemberStatus): string | null {
  const delay = applyDelayMs === undefined ? [] : [`${formatDuration(applyDelayMs).replace(/ 0 (?:s|min|h)$/, '')} delayed`];
  const way = cascade === undefined ? [] : [wayOf(cascade)];
  return [...delay, ...way].join(' · ') || null;
}

function wayOf({ upstream, from }: NonNullable<MemberStatus['cascade']>): string {
  if (from === upstream) return `streams from ${upstream}`;
  return from === null ? `waits for ${upstream}` : `streams from ${from} instead of ${upstream}`;
}

/** From whom a member takes its WAL, or is to. */
export function sourceOf({ cascade }: MemberStatus, { primary }: StatusDocument): string | null {
  return cascade === undefined ? primary : (cascade.from ?? cascade.upstream);
}
