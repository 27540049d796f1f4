import type { PlanAnswer } from '../../../server/src/api/types.ts';
import type { Operation } from '../api/operation.ts';

/** What a dialog says before an operation is confirmed. */
export interface Preview {
  readonly title: string;
  readonly steps: readonly string[];
  /** Why it would be refused now, and what to do about it; null when it would not. */
  readonly refusal: { readonly message: string; readonly action: string } | null;
  readonly confirm: string;
  readonly tone: 'plain' | 'danger';
}

/** `plan` is the API's own answer; null while it has not come. */
export function previewOf(operation: Operation, plan: PlanAnswer | null): Preview {
  return { ...wordsOf(operation), steps: plan?.steps ?? [], refusal: plan?.refusal ?? null };
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
