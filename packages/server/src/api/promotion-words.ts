import { formatDuration } from '@understudy/core/cluster';
import type { PromotionVerdict, SourceGap } from '@understudy/core/failover';

/** How far the standby cluster is behind its source, as far as it is known. */
export function gapSentence({ leader, behindBytes, knownMs, lastCommitAtMs }: SourceGap): string {
  const commit =
    lastCommitAtMs === null
      ? 'no commit has been replayed since it started'
      : `the last commit replayed was made at ${new Date(lastCommitAtMs).toISOString()}`;
  if (behindBytes === null || knownMs === null)
    return `How far ${leader} is behind the source is not known, since no member has seen it; ${commit}.`;
  return `${leader} is ${behindBytes} bytes behind what the source was last seen to have, ${formatDuration(Math.round(knownMs / 1000) * 1000)} ago; ${commit}.`;
}

/** What is lost by it, and what the operator must see to. */
export function lossSentences(loss: Extract<PromotionVerdict, { kind: 'ready' }>['loss'], source: string): readonly string[] {
  switch (loss) {
    case 'nothing-lost':
      return [
        'The source was shut down cleanly, and its last record is here: nothing of it is lost.',
        `See to it that ${source} takes no writes again: it may come back as a standby of this cluster only (\`understudy demote\`).`,
      ];
    case 'unknown':
      return [
        'What the source wrote after that is LOST to this cluster, unless it comes back.',
        `FENCE THE SOURCE: if ${source} takes writes again, there are two clusters that differ.`,
      ];
    case 'split':
      return [`THE SOURCE GOES ON: ${source} takes writes, and from now on each of the two has writes that the other lacks.`];
    default:
      return loss satisfies never;
  }
}
