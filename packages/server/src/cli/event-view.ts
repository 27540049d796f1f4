import { type ClusterEvent, EVENT_KINDS, type EventDraft, type EventKind } from '@understudy/core/cluster';
import type { Colors } from './terminal.ts';

const LOUD: ReadonlySet<EventKind> = new Set([
  'protection-lost',
  'data-lost',
  'alarm',
  'server-exited',
  'server-unresponsive',
  'server-failing',
  'clone-failed',
  'intent-refused',
  'router-warning',
]);
const GOOD: ReadonlySet<EventKind> = new Set([
  'primary-elected',
  'primary-promoted',
  'primary-established',
  'protection-regained',
  'clone-finished',
  'intent-done',
]);

const KIND_WIDTH = Math.max(...Object.keys(EVENT_KINDS).map(kind => kind.length));

/** One event as one line without its line break. `zoneOffsetMinutes` as Date.getTimezoneOffset() has it: times are local. */
export function eventLine(event: EventDraft, colors: Colors, zoneOffsetMinutes: number): string {
  const time = new Date(event.atMs - zoneOffsetMinutes * 60_000).toISOString().slice(11, 23);
  const paint = LOUD.has(event.kind) ? colors.red : GOOD.has(event.kind) ? colors.green : (text: string) => text;
  const place = `${(event.member ?? '-').padEnd(3)} ${event.term === null ? ' -' : `t${event.term}`}`.padEnd(7);
  return `${colors.dim(time)}  ${place} ${paint(event.kind.padEnd(KIND_WIDTH))}  ${event.message}`;
}

/** One event as JSON on one line. */
export function eventJson(event: ClusterEvent): string {
  return JSON.stringify(event);
}
