import { join } from 'node:path';
import type { MemberId } from '@understudy/core/cluster';

/** Where the parts of one cluster's data directory lie. */
export interface ClusterPaths {
  readonly root: string;
  /** Marks the directory as ours, and says by what it was made. */
  readonly marker: string;
  readonly state: string;
  readonly secrets: string;
  readonly events: string;
  readonly run: string;
  /** What a command needs to reach the running supervisor (mode 0600: it holds the token). */
  readonly runtime: string;
  readonly lock: string;
  readonly log: string;
  readonly members: string;
  /** The generated authority and the router's certificate, with their keys. */
  readonly tls: string;
}

export function clusterPaths(root: string): ClusterPaths {
  return {
    root,
    marker: join(root, 'understudy.json'),
    state: join(root, 'state.json'),
    secrets: join(root, 'secrets.json'),
    events: join(root, 'events.jsonl'),
    run: join(root, 'run'),
    runtime: join(root, 'run', 'supervisor.json'),
    lock: join(root, 'run', 'supervisor.lock'),
    log: join(root, 'log'),
    members: join(root, 'members'),
    tls: join(root, 'tls'),
  };
}

/** A member's own directory: PostgreSQL's data in `data`, the agent's durable words beside it. */
export function memberDirectory(paths: ClusterPaths, id: MemberId): string {
  return join(paths.members, id);
}
