import type { Floor } from './floors.ts';
import type { ConsistencyLevel } from './levels.ts';

/** What one read must see, fixed when it begins: commits that are acknowledged while it waits are not its business. */
export interface ReadNeed {
  /** The primary's question whose answer covers all commits before the read. */
  readonly mark: number;
  /** That answer, once it is there. */
  floor: Floor | null;
}

/** What a read wishes. */
export interface ReadRequest {
  readonly wish: 'auto' | 'primary' | 'replica';
  readonly level: ConsistencyLevel;
  readonly waitedMs: number;
}
