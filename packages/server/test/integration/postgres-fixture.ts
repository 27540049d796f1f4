import { existsSync, readdirSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import {
  type Account,
  chooseAccount,
  type Credentials,
  DEFAULT_SETTINGS,
  embeddedProvider,
  initialize,
  memberPaths,
  PostgresServer,
  type PostmasterExit,
  type Provider,
  type ServerSettings,
  type ServerSpec,
  systemProvider,
} from '../../src/postgres/index.ts';

/** A directory of real servers for one test file: fenced and removed at the end, whatever the tests did. */
export interface Bench {
  readonly directory: string;
  readonly account: Account | null;
  readonly provider: Provider;
  /** A member with a directory and a free port of its own; nothing in it yet. */
  member(id: string, maxConnections?: number, change?: Partial<ServerSettings>): Promise<Member>;
  close(): Promise<void>;
}

export interface Member {
  readonly id: string;
  readonly spec: ServerSpec;
  readonly server: PostgresServer;
  readonly exits: PostmasterExit[];
}

export const CREDENTIALS: Credentials = {
  superuser: "super'secret",
  superuserRole: 'postgres',
  replication: 'stream:secret',
  router: 'router-secret',
};

async function embedded(account: Account | null): Promise<Provider> {
  return await embeddedProvider({ account, copyDirectory: '/var/lib/understudy/bin' });
}

/** Bin directory of the newest PostgreSQL that the system's packages installed; null when there is none. */
function systemBinDirectory(): string | null {
  const root = '/usr/lib/postgresql';
  if (!existsSync(root)) return null;
  const majors = readdirSync(root)
    .map(Number)
    .filter(major => major >= 14 && major <= 19)
    .sort((a, b) => b - a);
  const found = majors.map(major => join(root, String(major), 'bin')).find(directory => existsSync(join(directory, 'pg_rewind')));
  return found ?? null;
}

/** The embedded provider, and the system's where it is installed; CI must have it. */
export function availableProviders(): readonly Provider['kind'][] {
  if (systemBinDirectory() !== null) return ['embedded', 'system'];
  if (process.env['CI'] === 'true') throw new Error('CI needs an installed PostgreSQL (apt: postgresql)');
  console.warn('skipped: tests of the system provider, no PostgreSQL is installed');
  return ['embedded'];
}

export async function openBench(kind: 'embedded' | 'system'): Promise<Bench> {
  const account = await chooseAccount();
  const provider = kind === 'embedded' ? await embedded(account) : await systemProvider(systemBinDirectory() as string, account);
  const directory = await mkdtemp(join(tmpdir(), 'understudy-test-'));
  await chmod(directory, 0o711);
  const members: Member[] = [];
  return {
    directory,
    account,
    provider,
    member: async (id, maxConnections = 30, change = {}) => {
      const operator = { max_connections: String(maxConnections), shared_buffers: '16MB' };
      const settings = { ...DEFAULT_SETTINGS, port: await freePort(), operator, ...change };
      const spec: ServerSpec = { provider, account, paths: memberPaths(join(directory, id)), settings, credentials: CREDENTIALS };
      const exits: PostmasterExit[] = [];
      const member = { id, spec, exits, server: new PostgresServer(spec, exit => exits.push(exit)) };
      members.push(member);
      return member;
    },
    close: async () => {
      for (const { server } of members) await server.fence();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** A primary that waits for nobody, ready for queries. */
export async function startPrimary(member: Member): Promise<void> {
  await initialize(member.spec);
  await member.server.start({ role: 'primary', synchronousNames: { kind: 'none' } });
  await member.server.waitUntilReady(20_000);
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise(resolve => {
    server.close(resolve);
  });
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

export async function connect(member: Member, user = 'postgres', password: string = CREDENTIALS.superuser): Promise<pg.Client> {
  const client = new pg.Client({ host: '127.0.0.1', port: member.spec.settings.port, user, password, database: 'postgres' });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

/** Runs one statement on a connection of its own. */
export async function sql(member: Member, text: string): Promise<readonly Record<string, unknown>[]> {
  const client = await connect(member);
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

/** Polls until the probe gives something true; fails the test after `deadlineMs`. */
export async function eventually<T>(probe: () => Promise<T>, what: string, deadlineMs = 20_000): Promise<NonNullable<T>> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    const found = await probe();
    if (found) return found;
    if (performance.now() > end) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await new Promise(resolve => {
      setTimeout(resolve, 20);
    });
  }
}
