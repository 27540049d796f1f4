import type { PlanAnswer, StatusDocument } from '../../../server/src/api/types.ts';
import type { Operation } from '../api/operation.ts';
import { formatList } from './format.ts';

/** What a dialog says before an operation is confirmed. */
export interface Preview {
  readonly title: string;
  readonly steps: readonly string[];
  /** Why it would be refused now, and what to do about it; null when it would not. */
  readonly refusal: { readonly message: string; readonly action: string } | null;
  readonly confirm: string;
  readonly tone: 'plain' | 'danger';
}

/** `plan` is the API's own answer; null where it has none or has not come yet. */
export function previewOf(operation: Operation, status: StatusDocument, plan: PlanAnswer | null): Preview {
  const words = wordsOf(operation);
  if (plan) return { ...words, steps: plan.steps, refusal: plan.refusal };
  return { ...words, steps: ownSteps(operation, status), refusal: null };
}

function wordsOf(operation: Operation): Pick<Preview, 'title' | 'confirm' | 'tone'> {
  switch (operation.kind) {
    case 'switchover':
      return { title: `Make ${operation.to} the primary`, confirm: 'Switch over', tone: 'plain' };
    case 'failover':
      return operation.acceptDataLoss
        ? { title: 'Fail over and accept the loss of writes', confirm: 'Fail over, losing writes', tone: 'danger' }
        : { title: 'Fail over without the primary', confirm: 'Fail over', tone: 'danger' };
    case 'add-replica':
      return { title: 'Add a replica', confirm: 'Add replica', tone: 'plain' };
    case 'remove-replica':
      return { title: `Remove ${operation.id}`, confirm: `Remove ${operation.id}`, tone: 'danger' };
    case 'pause':
      return { title: 'Pause automatic actions', confirm: 'Pause', tone: 'danger' };
    case 'resume':
      return { title: 'Resume automatic actions', confirm: 'Resume', tone: 'plain' };
    default:
      return operation satisfies never;
  }
}

/** For the operations that the API has no plan of: their effect is the same in every state. */
function ownSteps(operation: Operation, status: StatusDocument): readonly string[] {
  switch (operation.kind) {
    case 'add-replica':
      return [
        `A new member takes a complete copy of ${status.primary ?? 'the primary'} while it goes on working; this needs as much disk space again.`,
        'It follows, and takes reads as soon as it has caught up.',
        status.durability.mode === 'quorum'
          ? 'Then it joins the cohort: its acknowledgement counts for commits.'
          : 'Commits do not wait for it (async durability).',
      ];
    case 'pause':
      return [
        'PostgreSQL, replication and the router go on as they are.',
        'Nothing is done by itself any more: a primary that is lost is not replaced, a member that ends is not restarted.',
      ];
    case 'resume':
      return [
        `Automatic actions are taken again for ${formatList(status.members.map(member => member.id))}, beginning with what has become due.`,
      ];
    case 'switchover':
    case 'failover':
    case 'remove-replica':
      return [];
    default:
      return operation satisfies never;
  }
}
