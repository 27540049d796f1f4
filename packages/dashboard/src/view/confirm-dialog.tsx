import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { PlanAnswer, StatusDocument } from '../../../server/src/api/types.ts';
import { ApiError, fetchPlan, perform } from '../api/client.ts';
import type { Operation } from '../api/operation.ts';
import { storeToken } from '../api/token.ts';
import { formatDuration } from '../model/format.ts';
import { type Preview, previewOf } from '../model/preview.ts';
import { closeDialog, dialog, token } from '../state/store.ts';
import { Icon } from './icons.tsx';
import { Modal } from './modal.tsx';
import { Prose } from './prose.tsx';

/** Where the operation stands. */
type Progress =
  | { readonly kind: 'asked' }
  | { readonly kind: 'running' }
  | { readonly kind: 'done'; readonly message: string; readonly tookMs: number }
  | { readonly kind: 'failed'; readonly message: string; readonly action: string };

/** Says what will happen, then does it, then says what became of it. */
export function ConfirmDialog({ operation, status }: { readonly operation: Operation; readonly status: StatusDocument }): JSX.Element {
  const plan = usePlan(operation, status);
  const [progress, setProgress] = useState<Progress>({ kind: 'asked' });
  const preview = previewOf(operation, plan === 'unknown' ? null : plan);
  const start = async (): Promise<void> => {
    setProgress({ kind: 'running' });
    const next = await performed(operation);
    if (next) setProgress(next);
  };
  return (
    <Modal title={preview.title} onClose={closeDialog}>
      {progress.kind === 'asked' || progress.kind === 'running' ? (
        <WhatWillHappen preview={preview} />
      ) : (
        <WhatHappened progress={progress} />
      )}
      {preview.refusal && plan !== 'unknown' && plan.refusal?.code === 'would-lose-data' && progress.kind === 'asked' && <AcceptLoss />}
      <div class="dialog-actions">
        <button type="button" class="button" onClick={closeDialog} autofocus>
          {progress.kind === 'asked' ? 'Cancel' : 'Close'}
        </button>
        {(progress.kind === 'asked' || progress.kind === 'running') && (
          <button
            type="button"
            class={`button ${preview.tone === 'danger' ? 'button-danger' : 'button-primary'}`}
            disabled={progress.kind === 'running' || preview.refusal !== null}
            onClick={() => void start()}
          >
            {progress.kind === 'running' ? 'Working…' : preview.confirm}
          </button>
        )}
      </div>
      {progress.kind === 'running' && <p class="aside">This dialog may be closed; the operation goes on.</p>}
    </Modal>
  );
}

/** The API's plan, asked for again when the cluster has changed. `unknown`: not answered yet, or not to be had. */
function usePlan(operation: Operation, status: StatusDocument): PlanAnswer | 'unknown' {
  const [plan, setPlan] = useState<PlanAnswer | 'unknown'>('unknown');
  const { primary, term, verdict, paused, members } = status;
  const state = JSON.stringify([
    primary,
    term,
    verdict,
    paused,
    members.map(member => [member.id, member.role, member.state, member.inCohort]),
  ]);
  useEffect(() => {
    const asked = { current: true };
    fetchPlan(operation)
      .catch(() => 'unknown' as const)
      .then(answer => asked.current && setPlan(answer))
      .catch(() => null);
    return () => {
      asked.current = false;
    };
  }, [state]);
  return plan;
}

/** Null when the token was wrong: the page asks for another one. */
async function performed(operation: Operation): Promise<Progress | null> {
  const startedAt = performance.now();
  try {
    const { message } = await perform(operation, token.value ?? '');
    return { kind: 'done', message, tookMs: performance.now() - startedAt };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status !== 401) return { kind: 'failed', message: error.message, action: error.action };
    storeToken(null);
    token.value = null;
    dialog.value = { kind: 'unlock', next: operation, why: error.message };
    return null;
  }
}

function WhatWillHappen({ preview }: { readonly preview: Preview }): JSX.Element {
  if (preview.refusal) {
    return (
      <div class="callout tone-warning" role="status">
        <p>
          <Icon name="warning" /> <strong>This would be refused.</strong> <Prose text={preview.refusal.message} />
        </p>
        <p>
          <Prose text={preview.refusal.action} />
        </p>
      </div>
    );
  }
  return (
    <ol class="steps">
      {preview.steps.map(step => (
        <li key={step}>{step}</li>
      ))}
    </ol>
  );
}

function WhatHappened({ progress }: { readonly progress: Extract<Progress, { kind: 'done' | 'failed' }> }): JSX.Element {
  if (progress.kind === 'done') {
    return (
      <p class="callout tone-good" role="status">
        <Icon name="check" /> {progress.message} <span class="aside">({formatDuration(progress.tookMs)})</span>
      </p>
    );
  }
  return (
    <div class="callout tone-danger" role="alert">
      <p>
        <Icon name="warning" /> <Prose text={progress.message} />
      </p>
      <p>
        <Prose text={progress.action} />
      </p>
    </div>
  );
}

/** The one decision that only a person may take. */
function AcceptLoss(): JSX.Element {
  return (
    <button
      type="button"
      class="button button-danger"
      onClick={() => (dialog.value = { kind: 'confirm', operation: { kind: 'failover', acceptDataLoss: true } })}
    >
      I accept that acknowledged writes may be lost…
    </button>
  );
}
