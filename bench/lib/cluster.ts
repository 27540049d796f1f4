import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { StatusDocument } from '../../packages/server/src/api/types.ts';
import { BIN, freePort } from '../../test/support/cluster.ts';
import { run } from '../../test/support/program.ts';
import { until } from '../../test/support/wait.ts';
import type { Endpoint } from '../peers/peer.ts';

/** pgbench's scale: 100,000 accounts each. All of it fits into memory, so that routers are measured and not disks. */
const SCALE = 10;
const START_LIMIT_MS = 120_000;
/** Servers are loaded to the brim or capped on purpose: that they are slow must not look like a failure. Routing does not depend on these. */
const PATIENCE = {
  UNDERSTUDY_FAILOVER_HANG_TIMEOUT_MS: '60000',
  UNDERSTUDY_FAILOVER_LEASE_MS: '60000',
  UNDERSTUDY_FAILOVER_STREAM_VETO_MS: '60000',
  UNDERSTUDY_FAILOVER_REPLICA_TIMEOUT_MS: '60000',
};

export interface ClusterPlan {
  /** A directory that is kept for the next run; null: a new one, which is removed. */
  readonly kept: string | null;
  readonly replicas: number;
  /** Settings of PostgreSQL that are not the product's defaults. */
  readonly postgres: Readonly<Record<string, string | number>>;
}

interface Ports {
  readonly router: number;
  readonly http: number;
  readonly members: number;
}

/** A real cluster, filled for pgbench. The servers of every peer. */
export class BenchCluster {
  readonly directory: string;
  readonly #ports: Ports;
  readonly #plan: ClusterPlan;
  #status: StatusDocument | null = null;
  #password = '';

  private constructor(directory: string, ports: Ports, plan: ClusterPlan) {
    this.directory = directory;
    this.#ports = ports;
    this.#plan = plan;
  }

  static async start(plan: ClusterPlan): Promise<BenchCluster> {
    const directory = plan.kept ?? mkdtempSync(join(tmpdir(), 'understudy-bench-'));
    mkdirSync(directory, { recursive: true });
    // The accounts of PostgreSQL and of PgBouncer must be able to pass through.
    chmodSync(directory, 0o755);
    const cluster = new BenchCluster(directory, await portsOf(directory), plan);
    try {
      cluster.#configure();
      await cluster.#up();
      await cluster.#fill();
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  get router(): Endpoint {
    return this.#endpoint(this.#ports.router);
  }

  get primary(): Endpoint {
    return this.#endpoint(this.#members('primary')[0]?.port ?? 0);
  }

  get replicas(): readonly Endpoint[] {
    return this.#members('replica').map(member => this.#endpoint(member.port));
  }

  /** Pid of the proxy's process. */
  get routerPid(): number {
    return this.#known.router.pid ?? 0;
  }

  get postmasterPids(): readonly number[] {
    return this.#known.members.flatMap(member => member.postmasterPid ?? []);
  }

  get replicaPids(): readonly number[] {
    return this.#members('replica').flatMap(member => member.postmasterPid ?? []);
  }

  /** Adds replicas, or removes them, while the cluster works, until there are so many. */
  async resizeTo(replicas: number): Promise<void> {
    for (let there = this.replicas.length; there !== replicas; there = this.replicas.length) {
      if (there < replicas) await this.#command('replica', 'add', '--json');
      else await this.#command('replica', 'remove', this.#members('replica').at(-1)?.id ?? '', '--yes', '--json');
      const target = there < replicas ? there + 1 : there - 1;
      this.#status = await until(`a healthy cluster of ${target} replicas`, () => this.#healthy(target), START_LIMIT_MS);
    }
    await this.#caughtUp();
  }

  async stop(): Promise<void> {
    await this.#command('down');
    if (this.#plan.kept === null) rmSync(this.directory, { recursive: true, force: true });
  }

  get #known(): StatusDocument {
    if (this.#status === null) throw new Error('the cluster has not been started');
    return this.#status;
  }

  #members(role: 'primary' | 'replica'): StatusDocument['members'] {
    return this.#known.members.filter(member => member.role === role);
  }

  #endpoint(port: number): Endpoint {
    return { host: '127.0.0.1', port, user: 'postgres', password: this.#password, database: 'postgres' };
  }

  /** Found by `up`, which runs beside it. */
  #configure(): void {
    const settings = Object.entries(this.#plan.postgres).map(([name, value]) => `  ${name}: ${value}\n`);
    if (settings.length > 0) writeFileSync(join(this.directory, 'understudy.yaml'), `postgres:\n${settings.join('')}`);
  }

  async #up(): Promise<void> {
    const { router, http } = this.#ports;
    const replicas = String(this.#plan.replicas);
    await this.#command('up', '--detach', '--json', '--port', String(router), '--http-port', String(http), '--replicas', replicas);
    this.#password = new URL((await this.#command('url')).trim()).password;
    this.#status = await until('a healthy cluster', () => this.#healthy(this.#plan.replicas), START_LIMIT_MS);
  }

  async #healthy(replicas: number): Promise<StatusDocument | null> {
    const answer = await fetch(`http://127.0.0.1:${this.#ports.http}/status`).catch(() => null);
    const status = answer === null ? null : ((await answer.json()) as StatusDocument);
    const running = status?.members.filter(member => member.role === 'replica' && member.state === 'running').length;
    return status?.verdict === 'healthy' && running === replicas ? status : null;
  }

  async #fill(): Promise<void> {
    const [filled] = await this.query(this.primary, "SELECT to_regclass('pgbench_accounts') IS NOT NULL AS there");
    if (filled?.['there'] !== true) {
      const { host, port, user, password, database } = this.primary;
      const args = ['-i', '-q', '-s', String(SCALE), '-h', host, '-p', String(port), '-U', user, database];
      const outcome = await run('pgbench', args, { env: { PGPASSWORD: password } });
      if (outcome.code !== 0) throw new Error(`pgbench -i: ${outcome.stderr}`);
      // Otherwise one runs beside the first minutes of what is measured.
      await this.query(this.primary, 'CHECKPOINT');
    }
    await this.#caughtUp();
  }

  async #caughtUp(): Promise<void> {
    const [at] = await this.query(this.primary, 'SELECT pg_current_wal_insert_lsn() AS lsn');
    for (const replica of this.replicas) {
      const caughtUp = `SELECT pg_last_wal_replay_lsn() >= '${String(at?.['lsn'])}' AS yes`;
      await until('replicas that have all rows', async () => ((await this.query(replica, caughtUp))[0]?.['yes'] === true ? true : null));
    }
  }

  /** Asks a server something, on a connection of its own. */
  async query(server: Endpoint, sql: string): Promise<readonly Record<string, unknown>[]> {
    const client = new pg.Client(server);
    await client.connect();
    try {
      return (await client.query(sql)).rows as Record<string, unknown>[];
    } finally {
      await client.end();
    }
  }

  async #command(...args: string[]): Promise<string> {
    const env = { ...PATIENCE, UNDERSTUDY_MEMBER_PORT: String(this.#ports.members), NO_COLOR: '1' };
    const outcome = await run(process.execPath, [BIN, ...args, '--data', join(this.directory, 'data')], { cwd: this.directory, env });
    if (outcome.code !== 0) throw new Error(`understudy ${args[0]}: ${outcome.stderr}`);
    return outcome.stdout;
  }
}

/** Ports of the cluster, the same for each start of one directory. */
async function portsOf(directory: string): Promise<Ports> {
  const file = join(directory, 'ports.json');
  if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8')) as Ports;
  const ports: Ports = { router: await freePort(), http: await freePort(), members: await freePort() };
  writeFileSync(file, JSON.stringify(ports));
  return ports;
}
