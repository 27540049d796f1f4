// What applications write, compiled as an ES module and as CommonJS, by an old TypeScript and by ours. Never run.
import understudy, {
  Client,
  type ClientConfig,
  currentSession,
  DatabaseError,
  Pool,
  type PoolConfig,
  type RouteInfo,
  routeAttributes,
  type Session,
  types,
} from '@understudy/client';
import type pg from 'pg';

const config: PoolConfig = { connectionString: 'postgres://a,b/db', consistency: 'session', freshWaitMs: 5, max: 3, servers: ['c:5433'] };
const pool: pg.Pool = new Pool(config);
const routed = new Pool({ host: 'a', lanes: false });
routed.on('route', (info: RouteInfo) => routeAttributes(info)['server.address']);
routed.on('error', (error, client) => client.release(error));

export async function use(): Promise<number> {
  const { rows } = await routed.query<{ id: number }>('SELECT 1 AS id');
  const session: Session = routed.session('token');
  const token: string | null = await session.run(async () => currentSession()?.token ?? null);
  const where = await routed.explain(`SELECT ${token}`);
  const role: 'primary' | 'replica' | 'wait' = where.role;
  const client: pg.PoolClient = await pool.connect();
  await client.query({ text: role, rowMode: 'array' });
  client.release();
  return (rows[0]?.id ?? 0) + (routed.routes.reads['a:5432'] ?? 0);
}

const clientConfig: ClientConfig = { host: 'a', onStale: 'error' };
export const client: pg.Client = new Client(clientConfig);
export const shaped: typeof Pool = understudy.Pool;
export const parser: (text: string) => unknown = types.getTypeParser(types.builtins.INT8);
export const isOurs = (error: unknown): boolean => error instanceof DatabaseError;

// @ts-expect-error: there is no such level
export const wrong: Pool = new Pool({ consistency: 'perfect' });
// @ts-expect-error: nor such an event
routed.on('routes', () => undefined);
