import pg from 'pg';
import type { ClusterFacade } from '../api/facade.ts';

/** A server that does not answer by then is not waited for. */
const CONNECT_TIMEOUT_MS = 10_000;
/** Longer than the router holds a statement. */
const QUERY_TIMEOUT_MS = 60_000;

/** Runs something on a connection of its own. Throws what the server says. */
export async function withClient<T>(url: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'understudy tour',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: QUERY_TIMEOUT_MS,
  });
  // A connection that breaks fails the statement that runs on it; that is enough to know.
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Straight to one member, past the router. */
export function memberUrl(facade: ClusterFacade, id: string): string {
  const member = facade.status().members.find(each => each.id === id);
  const url = new URL(facade.url('router'));
  if (member) {
    url.hostname = member.host;
    url.port = String(member.port);
  }
  return url.href;
}
