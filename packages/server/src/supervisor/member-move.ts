import { type ClusterState, type MemberId, UnderstudyError } from '@understudy/core/cluster';
import { type HeardReports, type Move, type MoveStep, nextMoveStep } from '@understudy/core/failover';
import type { OperationResult } from '../api/facade.ts';

/** What a move needs of the operator's desk. */
export interface MemberMovePorts {
  readonly state: () => ClusterState;
  readonly heard: () => HeardReports;
  /** Waits for the condition. Throws `timed-out` after the limit. */
  readonly until: (condition: () => boolean, what: string, limitMs: number) => Promise<void>;
  readonly switchover: (to: MemberId, timeoutMs: number) => Promise<unknown>;
  readonly remove: (id: MemberId, timeoutMs: number) => Promise<unknown>;
}

/**
 * Has one member take the place of another, each step decided anew from what is seen (`nextMoveStep`): begun again after it was cut off it goes on where it
 * stopped. Throws `move-refused`, `timed-out`, and what a switchover and a removal throw.
 */
export async function moveMember(ports: MemberMovePorts, move: Move, timeoutMs: number): Promise<OperationResult> {
  const endMs = performance.now() + timeoutMs;
  for (;;) {
    const step = await nextStep(ports, move, endMs);
    const leftMs = Math.max(1, endMs - performance.now());
    switch (step.kind) {
      case 'switchover':
        await ports.switchover(step.to, leftMs);
        break;
      case 'remove':
        await ports.remove(step.member, leftMs);
        break;
      case 'refused':
        throw new UnderstudyError('move-refused', { why: step.why });
      case 'wait':
        throw new UnderstudyError('timed-out', { what: `The move (${step.why})`, limitMs: timeoutMs });
      case 'done': {
        const term = ports.state().rule?.term ?? null;
        return { message: `${move.to} has taken the place of ${move.from}.`, member: move.to, term };
      }
      default:
        step satisfies never;
    }
  }
}

/** A step that is to be waited for is only told when the time is over. */
async function nextStep({ state, heard, until }: MemberMovePorts, move: Move, endMs: number): Promise<MoveStep> {
  let step = nextMoveStep(state(), heard(), move);
  const isReady = (): boolean => (step = nextMoveStep(state(), heard(), move)).kind !== 'wait';
  await until(isReady, '', Math.max(1, endMs - performance.now())).catch(() => undefined);
  return step;
}
