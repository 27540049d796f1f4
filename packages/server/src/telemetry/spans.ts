import type { TermRecord } from '@understudy/core/cluster';
import type { RoutedStatement, StatementSample } from '@understudy/core/routing';
import { phasesMs } from '../api/failover-meter.ts';

export type SpanKind = 'internal' | 'client';

/** A span of OpenTelemetry. Times are milliseconds of the wall clock. */
export interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | null;
  readonly name: string;
  readonly kind: SpanKind;
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Readonly<Record<string, string | number>>;
}

/** Random identifiers in hex, of so many bytes. */
export type NewId = (bytes: 8 | 16) => string;

/** A change of the primary: one span for all of it, and one for each phase below it. */
export function spansOfTerm(record: TermRecord, newId: NewId): readonly Span[] {
  const phases = Object.entries(phasesMs(record)).flatMap(([name, ms]) => (ms === null ? [] : [[name, ms] as const]));
  const root = {
    traceId: newId(16),
    spanId: newId(8),
    parentSpanId: null,
    name: record.trigger === 'switchover' ? 'switchover' : 'failover',
    kind: 'internal',
    startMs: record.raisedAtMs - (record.detectMs ?? 0),
    endMs: record.establishedAtMs ?? record.promotedAtMs ?? record.electedAtMs,
    attributes: {
      'understudy.term': record.term,
      'understudy.primary': record.primary,
      'understudy.trigger': record.trigger,
      'understudy.reason': record.reason,
      'understudy.lost_bytes': record.lostBytes,
    },
  } satisfies Span;
  let at = root.startMs;
  const children = phases.map(([name, ms]): Span => {
    const startMs = at;
    at += ms;
    return { ...root, spanId: newId(8), parentSpanId: root.spanId, name, startMs, endMs: at, attributes: {} };
  });
  return [root, ...children];
}

/** Each statement of a sample: one span from its arrival to its answer; below it, if it had to wait, the wait, and its run on a server. */
export function spansOfSample({ statements, seen }: StatementSample, newId: NewId): readonly Span[] {
  return statements.flatMap(statement => spansOfStatement(statement, seen / statements.length, newId));
}

function spansOfStatement(
  { text, kind, member, reason, waitMs, runMs, endedAtMs }: RoutedStatement,
  standsFor: number,
  newId: NewId,
): readonly Span[] {
  const startMs = endedAtMs - runMs - waitMs;
  const root = {
    traceId: newId(16),
    spanId: newId(8),
    parentSpanId: null,
    name: `route ${kind}`,
    kind: 'internal',
    startMs,
    endMs: endedAtMs,
    attributes: { 'understudy.member': member, 'understudy.reason': reason, 'understudy.stands_for': standsFor },
  } satisfies Span;
  const below = { ...root, parentSpanId: root.spanId };
  const wait: Span = { ...below, spanId: newId(8), name: 'wait', endMs: startMs + waitMs, attributes: {} };
  const run: Span = {
    ...below,
    spanId: newId(8),
    name: `run on ${member}`,
    kind: 'client',
    startMs: startMs + waitMs,
    attributes: { 'db.system.name': 'postgresql', 'db.query.text': text },
  };
  return waitMs > 0 ? [root, wait, run] : [root, run];
}
