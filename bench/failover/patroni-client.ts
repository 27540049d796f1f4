import pg from 'pg';
import { PATRONI_PASSWORD } from './patroni-config.ts';

const CONNECT_TIMEOUT_MS = 300;

/** A server that a client may be sent to. */
export interface ServerPlace {
  readonly host: string;
  readonly port: number;
}

/** The session with whichever server takes writes, as libpq's target_session_attrs finds it; rejects when there is none. */
export async function connectToWritable<Place extends ServerPlace>(places: readonly Place[]): Promise<{ place: Place; client: pg.Client }> {
  return await Promise.any(places.map(async place => ({ place, client: await writableAt(place) })));
}

/** One primary with two replicas that stream, one of them synchronous; null when it is not so. */
export async function isComplete(places: readonly ServerPlace[]): Promise<true | null> {
  const { client } = await connectToWritable(places);
  try {
    const { rows } = await client.query<{ sync_state: string }>("select sync_state from pg_stat_replication where state = 'streaming'");
    return rows.length === 2 && rows.some(row => row.sync_state !== 'async') ? true : null;
  } finally {
    close(client);
  }
}

/** Rejects when this server does not answer soon, or takes no writes. */
async function writableAt({ host, port }: ServerPlace): Promise<pg.Client> {
  const client = new pg.Client({
    host,
    port,
    user: 'postgres',
    password: PATRONI_PASSWORD,
    database: 'postgres',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  });
  client.on('error', () => undefined);
  await client.connect();
  const { rows } = await client.query<{ standby: boolean }>('select pg_is_in_recovery() as standby');
  if (rows[0]?.standby === false) return client;
  close(client);
  throw new Error('a standby');
}

export function close(client: pg.Client): true {
  client.end().catch(() => undefined);
  return true;
}
