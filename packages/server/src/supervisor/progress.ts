import type { MemberId } from '@understudy/core/cluster';

/** The slow steps of `up`, in the order in which a new cluster goes through them. */
export type ProgressStep = 'initdb' | 'start' | 'clone' | 'ready' | 'router' | 'api';

/** What the supervisor tells whoever waits for the cluster, so that the wait can be shown. Plain data: it also crosses an IPC channel. */
export interface ProgressEvent {
  readonly kind: 'step';
  readonly member?: MemberId;
  readonly step: ProgressStep;
  readonly state: 'begin' | 'progress' | 'done' | 'failed';
  readonly bytesDone?: number;
  /** Unknown until the server has said how much there is. */
  readonly bytesTotal?: number;
  /** One sentence, e.g. `n2 copies the primary`. */
  readonly message: string;
}

export type ProgressListener = (event: ProgressEvent) => void;
