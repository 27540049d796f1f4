import { formatToken, readToken, type SessionCausality } from '@understudy/core/routing';
import type { Router } from './router.ts';

/** How long one who asks for a token waits for the servers' answers before it is told as far as it is known. */
const SETTLE_LIMIT_MS = 1_000;

/** What the session has seen, as text, as far as it is known now; null when that is nothing. */
export function tokenNow({ freshness }: Router, session: SessionCausality): string | null {
  freshness.sessionFloor(session);
  const { systemIdentifier } = freshness;
  if (session.floor.lsn === 0n || systemIdentifier === null) return null;
  return formatToken({ systemIdentifier, floor: session.floor });
}

/** Waits until the servers have told every position that the session's token depends on. */
export async function settle(router: Router, session: SessionCausality): Promise<void> {
  const end = performance.now() + SETTLE_LIMIT_MS;
  while (router.freshness.sessionFloor(session) === null) {
    const left = end - performance.now();
    if (left <= 0 || router.stopped) return;
    await router.freshness.news(left);
  }
}

/** Raises the session's floor to a token's. Returns why the token says nothing here; null when it was taken. */
export function takeToken({ freshness }: Router, session: SessionCausality, text: string): string | null {
  const reading = readToken(text, freshness.systemIdentifier ?? '');
  if (!reading.ok) return reading.message;
  freshness.raise(session, reading.floor);
  return null;
}
