import type { ClusterEvent, EventKind } from '@understudy/core/cluster';
import type { Tone } from './notices.ts';

/** The most events that the page keeps. */
export const EVENTS_MAX = 1000;

/** Events in order of their numbers with these among them; a number seen before is not taken twice. */
export function withEvents(events: readonly ClusterEvent[], news: readonly ClusterEvent[]): readonly ClusterEvent[] {
  const last = events.at(-1)?.id ?? -1;
  const fresh = news.filter(event => event.id > last);
  return fresh.length === 0 ? events : [...events, ...fresh].slice(-EVENTS_MAX);
}

/** What the list of events can be narrowed to. */
export const EVENT_GROUPS = ['all', 'elections', 'members', 'router', 'operator'] as const;
export type EventGroup = (typeof EVENT_GROUPS)[number];

/** The part of the cluster that an event is about. Kinds that are not listed are about a member. */
const GROUPS: Partial<Record<EventKind, Exclude<EventGroup, 'all'>>> = {
  'term-raised': 'elections',
  promised: 'elections',
  'primary-elected': 'elections',
  'primary-promoted': 'elections',
  'primary-established': 'elections',
  'primary-confirmed': 'elections',
  'cohort-changed': 'elections',
  'protection-lost': 'elections',
  'protection-regained': 'elections',
  'data-lost': 'elections',
  'router-switched': 'router',
  'router-held': 'router',
  'router-released': 'router',
  'router-warning': 'router',
  'cluster-created': 'operator',
  'cluster-resumed': 'operator',
  'cluster-stopping': 'operator',
  'switchover-requested': 'operator',
  'failover-requested': 'operator',
  'restart-requested': 'operator',
  'intent-refused': 'operator',
  'intent-done': 'operator',
  paused: 'operator',
  resumed: 'operator',
};

function groupOf(kind: EventKind): Exclude<EventGroup, 'all'> {
  return GROUPS[kind] ?? 'members';
}

const TONES: Partial<Record<EventKind, Tone>> = {
  'server-exited': 'danger',
  'server-unresponsive': 'danger',
  'server-failing': 'danger',
  'server-fenced': 'warning',
  'agent-exited': 'warning',
  'clone-failed': 'danger',
  'protection-lost': 'danger',
  'protection-regained': 'good',
  'data-lost': 'danger',
  alarm: 'danger',
  'alarm-cleared': 'good',
  'intent-refused': 'warning',
  'intent-done': 'good',
  paused: 'warning',
  'router-held': 'warning',
  'router-warning': 'warning',
  'router-released': 'good',
  'primary-established': 'good',
  'cluster-stopping': 'warning',
};

export function toneOf(kind: EventKind): Tone {
  return TONES[kind] ?? 'note';
}

/** What the reader asked to see. `text` is looked for, without case, in kind, member, term and message; all of its words must be there. */
export interface EventFilter {
  readonly group: EventGroup;
  readonly text: string;
}

/** Newest first. */
export function filterEvents(events: readonly ClusterEvent[], filter: EventFilter): readonly ClusterEvent[] {
  const words = filter.text.toLowerCase().split(/\s+/).filter(Boolean);
  return events.filter(event => matches(event, filter.group, words)).reverse();
}

function matches(event: ClusterEvent, group: EventGroup, words: readonly string[]): boolean {
  if (group !== 'all' && groupOf(event.kind) !== group) return false;
  const text = `${event.kind} ${event.member ?? ''} ${event.term === null ? '' : `term ${event.term}`} ${event.message}`.toLowerCase();
  return words.every(word => text.includes(word));
}
