import { randomBytes } from 'node:crypto';
import type { MemberId, TermRecord } from '@understudy/core/cluster';
import type { ClusterFacade } from '../api/facade.ts';
import { TermWatch } from '../api/term-watch.ts';
import { TraceExporter } from './exporter.ts';
import type { TraceSettings } from './settings.ts';
import { type NewId, spansOfSample, spansOfTerm } from './spans.ts';

export interface TraceOptions {
  readonly settings: TraceSettings;
  readonly version: string;
  /** Where several machines see the same changes, the one that tells is the member that leads after it; null: this one sees them alone. */
  readonly member: MemberId | null;
  readonly warn: (message: string) => void;
}

const newId: NewId = bytes => randomBytes(bytes).toString('hex');

/**
 * Sends a trace of every change of the primary, and of a fair sample of routed statements. The router makes that sample only while somebody looks,
 * so that without traces it costs nothing. Call what is returned to send the rest and end.
 */
export function startTraces(
  facade: Pick<ClusterFacade, 'state' | 'subscribe' | 'watchStatements'>,
  { settings, version, member, warn }: TraceOptions,
): () => Promise<void> {
  const exporter = new TraceExporter(settings, version, warn);
  const terms = new TermWatch(facade);
  const isOurs = (record: TermRecord): boolean => member === null || record.primary === member;
  const unsubscribe = facade.subscribe(() => {
    for (const record of terms.take(facade.state().history)) if (isOurs(record)) exporter.add(spansOfTerm(record, newId));
  });
  const unwatch = facade.watchStatements(sample => exporter.add(spansOfSample(sample, newId)));
  return async () => {
    unsubscribe();
    unwatch();
    await exporter.stop();
  };
}
