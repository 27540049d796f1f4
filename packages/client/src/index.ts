import pg from 'pg';
import { RoutedClient } from './client/routed-client.ts';
import type { ClientConfig } from './options.ts';
import { Pool } from './pool.ts';

export { type ClusterDefinition, defineCluster } from './clusters.ts';
export type { ClientConfig, PoolConfig, RoutingConfig } from './options.ts';
export {
  expressSessions,
  fastifySessions,
  honoSessions,
  type JobPayload,
  jobPayload,
  runJob,
  type SessionMaker,
  type TokenOptions,
  withSession,
} from './middleware.ts';
export { type Explanation, Pool } from './pool.ts';
export { type RouteCounts, type RouteInfo, routeAttributes } from './routing/route.ts';
export { currentSession, outsideSessions, Session } from './session.ts';

/** A `pg.Client` whose statements are routed one by one; all that name the same servers share what they know of them. */
export type Client = pg.Client;
export const Client: new (config?: string | ClientConfig) => pg.Client = RoutedClient;

// Everything else of pg, so that this module can stand in its place.
export const Query: typeof pg.Query = pg.Query;
export const Connection: typeof pg.Connection = pg.Connection;
export const Result: typeof pg.Result = pg.Result;
export const TypeOverrides: typeof pg.TypeOverrides = pg.TypeOverrides;
export const DatabaseError: typeof pg.DatabaseError = pg.DatabaseError;
export const types: typeof pg.types = pg.types;
export const defaults: typeof pg.defaults = pg.defaults;
export const escapeIdentifier: typeof pg.escapeIdentifier = pg.escapeIdentifier;
export const escapeLiteral: typeof pg.escapeLiteral = pg.escapeLiteral;

/** The module as one object, as `require('pg')` gives it. libpq's own protocol cannot be routed, so there is no `native`. */
interface PgShaped {
  readonly Pool: typeof Pool;
  readonly Client: typeof Client;
  readonly Query: typeof pg.Query;
  readonly Connection: typeof pg.Connection;
  readonly Result: typeof pg.Result;
  readonly TypeOverrides: typeof pg.TypeOverrides;
  readonly DatabaseError: typeof pg.DatabaseError;
  readonly types: typeof pg.types;
  readonly defaults: typeof pg.defaults;
  readonly escapeIdentifier: typeof pg.escapeIdentifier;
  readonly escapeLiteral: typeof pg.escapeLiteral;
  readonly native: null;
}

const pgShaped: PgShaped = {
  Pool,
  Client,
  Query,
  Connection,
  Result,
  TypeOverrides,
  DatabaseError,
  types,
  defaults,
  escapeIdentifier,
  escapeLiteral,
  native: null,
};
export default pgShaped;
