import { type ClusterState, type SourceSpec, standbySlotName, sourceText, UnderstudyError } from '@understudy/core/cluster';
import {
  demotedState,
  type HeardReports,
  judgePromotion,
  type PromotionVerdict,
  type PromotionWish,
  promotedState,
  WITHOUT_SOURCE,
} from '@understudy/core/failover';
import type { OperationResult } from '../api/facade.ts';
import { gapSentence, lossSentences } from '../api/promotion-words.ts';
import type { StatusDocument } from '../api/types.ts';

/** The proof that nothing is missing may take a look at the source and a restartpoint; what was sent may still be on its way. */
const JUDGE_LIMIT_MS = 15_000;

/** What promoting and demoting need of whoever serves the operator. */
export interface StandbyPorts {
  readonly state: () => ClusterState;
  readonly heard: () => HeardReports;
  readonly status: () => StatusDocument;
  readonly change: (next: (state: ClusterState) => ClusterState, reason: string) => Promise<void>;
  readonly until: (condition: () => boolean, what: string, limitMs: number) => Promise<void>;
  /** Throws `source-unusable` unless the source answers and fits. */
  readonly examine: (source: SourceSpec, slot: string) => Promise<void>;
}

type Ready = Extract<PromotionVerdict, { kind: 'ready' }>;

/** Whether a promotion would be done now. Throws `promotion-refused`, `cluster-paused`. What is only not there yet counts as a refusal. */
export function requirePromotion(state: ClusterState, heard: HeardReports, wish: PromotionWish): Ready {
  if (state.paused) throw new UnderstudyError('cluster-paused');
  const verdict = judgePromotion(state, heard, wish);
  if (verdict.kind === 'ready') return verdict;
  const remedy = verdict.kind === 'refused' ? verdict.remedy : WITHOUT_SOURCE;
  throw new UnderstudyError('promotion-refused', { why: verdict.why.replace(/\.$/, ''), remedy });
}

/** Makes a standby cluster take writes: waits until it is shown that nothing is missing, unless the operator does without. */
export async function promote(ports: StandbyPorts, wish: PromotionWish, timeoutMs: number): Promise<OperationResult> {
  const source = ports.state().standby?.source;
  const isJudged = (): boolean => judgePromotion(ports.state(), ports.heard(), wish).kind !== 'wait';
  // Late is judged below.
  await ports.until(isJudged, 'A verdict', Math.min(timeoutMs, JUDGE_LIMIT_MS)).catch(() => undefined);
  const { gap, loss } = requirePromotion(ports.state(), ports.heard(), wish);
  const told = [gapSentence(gap), ...lossSentences(loss, source ? sourceText(source) : 'the source')];
  const reason = `An operator promoted the standby cluster. ${told.join(' ')}`;
  await ports.change(state => {
    requirePromotion(state, ports.heard(), wish);
    return promotedState(state, ports.heard(), Date.now());
  }, reason);
  const isOpen = ({ primary, verdict }: StatusDocument): boolean => primary !== null && verdict !== 'no-primary';
  await ports.until(() => isOpen(ports.status()), 'An open primary', timeoutMs);
  const { primary, term, members } = ports.status();
  const timeline = members.find(({ id }) => id === primary)?.timeline ?? ports.state().rule?.timeline;
  return { message: [`${primary} is the primary of term ${term}, on timeline ${timeline}.`, ...told].join('\n'), member: primary, term };
}

/** Why a cluster cannot become a standby of that source now; null when it can. */
export function demotionRefusal(state: ClusterState, source: SourceSpec): string | null {
  if (state.standby) return `it is a standby of ${sourceText(state.standby.source)} already`;
  if (state.rule === null || !state.rule.established || state.systemId === null) return 'its primary is not established';
  if (state.intent !== null) return `a ${state.intent.kind} is under way`;
  const own = Object.values(state.members).find(member =>
    source.hosts.some(({ host, port }) => host === member.host && port === member.port),
  );
  return own ? `${own.host}:${own.port} is its own member ${own.id}` : null;
}

/** Makes a cluster that takes writes the standby of another: its primary shuts down cleanly, and follows. */
export async function demote(ports: StandbyPorts, source: SourceSpec, timeoutMs: number): Promise<OperationResult> {
  const refuse = (state: ClusterState): void => {
    if (state.paused) throw new UnderstudyError('cluster-paused');
    const why = demotionRefusal(state, source);
    if (why !== null) throw new UnderstudyError('demotion-refused', { why });
  };
  refuse(ports.state());
  await ports.examine(source, standbySlotName(ports.state().name));
  await ports.change(
    state => {
      refuse(state);
      return demotedState(state, source, Date.now());
    },
    `An operator made the cluster a standby of ${sourceText(source)}.`,
  );
  const hasSteppedDown = (): boolean => {
    const kinds = new Set([...ports.heard().values()].map(({ server }) => server.kind));
    return kinds.has('replica') && !kinds.has('primary');
  };
  await ports.until(hasSteppedDown, 'The end of the primary', timeoutMs);
  const { rule } = ports.state();
  return {
    message: `The cluster is a standby of ${sourceText(source)} and takes no writes; ${rule?.primary} leads it.`,
    member: rule?.primary ?? null,
    term: rule?.term ?? null,
  };
}
