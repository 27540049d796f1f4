import type { EventKind } from './events.ts';

/** How much a line of the log matters, the least first. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

const LEVELS: Readonly<Partial<Record<EventKind, LogLevel>>> = {
  alarm: 'error',
  'data-lost': 'error',
  'protection-lost': 'error',
  'server-exited': 'warn',
  'server-unresponsive': 'warn',
  'server-failing': 'warn',
  'server-fenced': 'warn',
  'agent-exited': 'warn',
  'clone-failed': 'warn',
  'intent-refused': 'warn',
  'router-held': 'warn',
  'router-warning': 'warn',
  promised: 'debug',
  following: 'debug',
};

/** At which level an event of this kind is logged. */
export function levelOf(kind: EventKind): LogLevel {
  return LEVELS[kind] ?? 'info';
}
