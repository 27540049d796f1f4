import type { Store, VersionedState } from '@understudy/core/cluster';

/** A store that also says, without waiting, the newest state that it has heard. */
export interface CurrentStore extends Store {
  readonly current: VersionedState;
}
