import type { Databases } from './databases.ts';
import type { Freshness } from './freshness.ts';
import type { Greetings } from './greetings.ts';
import type { ClusterWatch } from './hold.ts';
import type { Lanes } from './lanes.ts';
import type { ProxyOptions } from './options.ts';
import type { Pools } from './pools.ts';
import type { ProxyEvent } from './ports.ts';
import type { StatementWatch } from './statement-watch.ts';
import type { StatsCounter } from './stats.ts';
import type { Tables } from './tables.ts';
import type { Place } from './workers/place.ts';

/** What the sessions of one proxy share. */
export interface SessionContext {
  readonly options: ProxyOptions;
  readonly watch: ClusterWatch;
  readonly freshness: Freshness;
  readonly stats: StatsCounter;
  readonly statements: StatementWatch;
  readonly tables: Tables;
  readonly onEvent: (event: ProxyEvent) => void;
  /** Statements are classified per database: functions differ. */
  readonly databases: Databases;
  readonly pools: Pools;
  readonly lanes: Lanes;
  readonly greetings: Greetings;
  /** The other workers. */
  readonly peers: Pick<Place, 'tell'>;
}
