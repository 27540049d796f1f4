import type { EventDraft, EventKind, MemberId } from '@understudy/core/cluster';
import type { PostgresServer } from '../postgres/index.ts';
import type { FactKeeper } from './facts.ts';
import type { InstalledPrograms } from './programs.ts';
import type { PromiseFile } from './promise-file.ts';
import type { PromotionNote } from './promotion-note.ts';
import type { ServerWatcher } from './watcher.ts';

/** What a performer works on. */
export interface PerformerContext {
  readonly member: MemberId;
  readonly server: PostgresServer;
  readonly programs: InstalledPrograms;
  readonly promises: PromiseFile;
  readonly facts: FactKeeper;
  readonly watcher: ServerWatcher;
  readonly note: PromotionNote;
  readonly now: () => number;
  /** The cluster's system identifier. Throws while it has none. */
  readonly systemId: () => string;
  readonly say: (kind: EventKind, message: string, inputs?: EventDraft['inputs']) => void;
  /** A line of the agent's own log. */
  readonly log: (line: string) => void;
  /** A slow operation has news: progress, its end. */
  readonly onProgress: () => void;
  readonly onLeft: () => void;
  /** The server is somebody else's from now on: it goes on, and its agent is done. */
  readonly onReleased: () => void;
}
