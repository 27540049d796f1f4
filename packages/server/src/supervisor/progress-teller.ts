import type { MemberId, MemberReport } from '@understudy/core/cluster';
import type { ProgressEvent, ProgressListener, ProgressStep } from './progress.ts';

/** Draws the steps of `up` from the members' reports. */
export class ProgressTeller {
  readonly #listener: ProgressListener;
  readonly #steps = new Map<MemberId, ProgressStep>();

  constructor(listener: ProgressListener) {
    this.#listener = listener;
  }

  tell(event: ProgressEvent): void {
    this.#listener(event);
  }

  report(report: MemberReport): void {
    const { id, operation, server } = report;
    const before = this.#steps.get(id);
    const now = stepOf(report);
    if (before && before !== now) {
      const failed = cameToNothing(before, report);
      const message = `${id}: ${failed ? `${DOING[before]} failed` : DONE[before]}`;
      this.#listener({ kind: 'step', member: id, step: before, state: failed ? 'failed' : 'done', message });
      this.#steps.delete(id);
    }
    if (!now) return;
    if (before !== now) this.#listener({ kind: 'step', member: id, step: now, state: 'begin', message: `${id}: ${DOING[now]}` });
    this.#steps.set(id, now);
    if (operation?.kind === 'cloning' && server.kind === 'absent') {
      const { bytesDone, bytesTotal } = operation;
      this.#listener({
        kind: 'step',
        member: id,
        step: 'clone',
        state: 'progress',
        bytesDone,
        ...(bytesTotal === null ? {} : { bytesTotal }),
        message: `${id}: ${DOING.clone}`,
      });
    }
  }
}

function stepOf({ operation, server }: MemberReport): ProgressStep | null {
  if (operation?.kind === 'initdb') return 'initdb';
  if (operation?.kind === 'cloning') return 'clone';
  if (operation?.kind === 'starting' || server.kind === 'starting') return 'start';
  return null;
}

/** With nothing under way any more, and still no data directory, or no server after a start. */
function cameToNothing(step: ProgressStep, { operation, server }: MemberReport): boolean {
  return operation === null && (server.kind === 'absent' || (server.kind === 'stopped' && step === 'start'));
}

const DOING: Record<ProgressStep, string> = {
  initdb: 'making a new database',
  clone: 'copying the primary',
  start: 'starting PostgreSQL',
  ready: 'getting ready',
  router: 'starting the router',
  api: 'starting the API',
};

const DONE: Record<ProgressStep, string> = {
  initdb: 'database made',
  clone: 'copy complete and verified',
  start: 'PostgreSQL runs',
  ready: 'ready',
  router: 'the router listens',
  api: 'the API listens',
};
