import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, chmodSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ClusterEvent } from '../../packages/core/src/cluster/events.ts';
import type { StatusDocument } from '../../packages/server/src/api/types.ts';
import { fetchTrusting } from '../../packages/server/src/cli/https-fetch.ts';
import { serverProcesses } from '../../packages/server/src/postgres/processes.ts';
import { BIN, primaryOf } from '../support/cluster.ts';
import { signalAll } from '../support/freeze.ts';
import { auditLedger, LEDGER_TABLE, LedgerWriter } from '../support/ledger.ts';
import { hasProgram, run } from '../support/program.ts';
import { until } from '../support/wait.ts';

/** Debian's, which has pg_rewind. */
const PROGRAMS = '/usr/lib/postgresql/15/bin';

/** Two machines as `understudy init` makes them, with all their certificates; here both are addresses of the loopback. */
class TwoMachines {
  readonly directory: string = mkdtempSync(join(tmpdir(), 'understudy-services-'));
  readonly addresses: readonly [string, string];
  readonly #services = new Map<string, ChildProcess>();

  constructor() {
    // PostgreSQL's account must be able to pass through.
    chmodSync(this.directory, 0o755);
    mkdirSync(join(this.directory, 'data'), { mode: 0o755 });
    const net = `127.${1 + (process.pid % 250)}.${Math.floor(process.pid / 250) % 250}`;
    this.addresses = [`${net}.1`, `${net}.2`];
  }

  async start(): Promise<void> {
    const [first] = this.addresses;
    const places = ['--etcd', first, '--members', this.addresses.join(','), '--proxies', first, '--provider', 'system'];
    const directories = ['--out', join(this.directory, 'machines'), '--data-dir', join(this.directory, 'data')];
    expect(await run(process.execPath, [BIN, 'init', ...places, ...directories])).toMatchObject({ code: 0 });
    for (const address of this.addresses)
      appendFileSync(join(this.#files(address), 'member.yaml'), `durability: async\nbinDir: ${PROGRAMS}\n`);
    this.#spawn('etcd', first, 'etcd', ['--config-file', 'etcd.yaml']);
    this.#spawn('proxy', first, process.execPath, [BIN, 'proxy', '--config', 'proxy.yaml']);
    for (const member of ['n1', 'n2']) this.startMember(member);
    await this.whenStatus(
      'a healthy cluster',
      s => s.verdict === 'healthy' && s.members.length === 2 && s.endpoints.router.includes(first),
    );
  }

  startMember(member: string): void {
    this.#spawn(member, this.#addressOf(member), process.execPath, [BIN, 'member', '--config', 'member.yaml']);
  }

  /** As its unit does. Resolves to the exit code. */
  async stopMember(member: string): Promise<number | null> {
    const service = this.#services.get(member)!;
    service.kill('SIGTERM');
    await once(service, 'exit');
    return service.exitCode;
  }

  /** Its service, its agent and PostgreSQL are gone at once. Its own service alone knows the agent. */
  async crash(id: string): Promise<void> {
    const { members } = await this.#ask<StatusDocument>(this.#addressOf(id), '/status');
    const agent = members.find(member => member.id === id)!.agentPid!;
    signalAll([this.#services.get(id)!.pid!, agent, ...(await this.postgresPids(id))], 'SIGKILL');
  }

  async postgresPids(member: string): Promise<number[]> {
    return (await serverProcesses(join(this.directory, 'data', member, 'members', member, 'data'))).map(({ pid }) => pid);
  }

  client(): pg.Client {
    const { superuser } = JSON.parse(readFileSync(join(this.directory, 'machines', 'ca', 'secrets.json'), 'utf8')) as { superuser: string };
    const client = new pg.Client({ host: this.addresses[0], port: 5432, user: 'postgres', password: superuser, database: 'postgres' });
    client.on('error', () => undefined);
    return client;
  }

  /** Of the first member that answers. */
  async get<T>(path: string): Promise<T> {
    return await Promise.any(this.addresses.map(address => this.#ask<T>(address, path)));
  }

  whenStatus(what: string, fits: (status: StatusDocument) => boolean): Promise<StatusDocument> {
    const look = async (): Promise<StatusDocument | null> => {
      const status = await this.get<StatusDocument>('/status').catch(() => null);
      return status && fits(status) ? status : null;
    };
    return until(what, look, 120_000);
  }

  async stop(): Promise<void> {
    const left = [...this.#services.values()].filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null);
    for (const service of left) service.kill('SIGKILL');
    for (const member of ['n1', 'n2']) signalAll(await this.postgresPids(member), 'SIGKILL');
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 5 });
  }

  async #ask<T>(address: string, path: string): Promise<T> {
    const ca = readFileSync(join(this.#files(address), 'ca.crt'), 'utf8');
    const init = { headers: {}, signal: AbortSignal.timeout(5000) };
    return (await (await fetchTrusting(ca)(`https://${address}:8008${path}`, init)).json()) as T;
  }

  #spawn(name: string, address: string, command: string, args: readonly string[]): void {
    const log = openSync(join(this.directory, `${name}.log`), 'a');
    this.#services.set(name, spawn(command, args, { cwd: this.#files(address), stdio: ['ignore', log, log] }));
  }

  #addressOf(member: string): string {
    return this.addresses[member === 'n1' ? 0 : 1];
  }

  #files(address: string): string {
    return join(this.directory, 'machines', address);
  }
}

const isPossible = process.platform === 'linux' && hasProgram('etcd') && hasProgram(`${PROGRAMS}/pg_rewind`);

// The second test goes on with what the first has left.
describe.runIf(isPossible)('members as services, with durability async and TLS between them', () => {
  const machines = new TwoMachines();
  beforeAll(() => machines.start());
  afterAll(() => machines.stop());

  it('a primary whose service is stopped hands over without losing a row, though no commit waits for a replica', async () => {
    const before = await machines.whenStatus('a healthy cluster', s => s.verdict === 'healthy');
    expect(before.durability).toMatchObject({ mode: 'async', acks: 0, cohort: [] });
    const client = machines.client();
    await client.connect();
    await client.query(LEDGER_TABLE);
    const writer = new LedgerWriter(client, 1);
    writer.start();
    const { id } = primaryOf(before);
    expect(await machines.stopMember(id)).toBe(0);
    const after = await machines.whenStatus('another primary', s => s.primary !== id && s.verdict !== 'no-primary');
    expect(after.term).toBe(before.term + 1);
    await writer.stop();
    expect(writer.errors).toEqual([]);
    expect(await auditLedger(client, [{ id: 1, acknowledged: writer.acknowledged }])).toEqual({ lost: [], doubled: [] });
    await client.end();
    machines.startMember(id);
  });

  it('a former primary whose WAL went another way comes back by pg_rewind over TLS, not by a copy', async () => {
    const before = await machines.whenStatus('a healthy cluster', s => s.verdict === 'healthy');
    const old = primaryOf(before);
    const replica = before.members.find(({ role }) => role === 'replica')!;
    const client = machines.client();
    await client.connect();
    await client.query('create table notes(n int)');
    await machines.whenStatus('everything replayed', s => s.members.find(({ id }) => id === replica.id)?.lagBytes === 0);
    // From here on the replica takes nothing.
    const receivers = (await machines.postgresPids(replica.id)).filter(pid => titleOf(pid).includes('walreceiver'));
    signalAll(receivers, 'SIGSTOP');
    await client.query('insert into notes select generate_series(1, 100)');
    await machines.crash(old.id);
    await machines.whenStatus('the replica leads', s => s.primary === replica.id && s.verdict !== 'no-primary');
    machines.startMember(old.id);
    await machines.whenStatus('the old primary follows', s => s.primary === replica.id && s.verdict === 'healthy');
    // The others hear of what a member does a moment later.
    const repairs = await until('the news of it', async () => {
      const { events } = await machines.get<{ events: ClusterEvent[] }>('/events?limit=1000');
      const since = events.slice(events.findLastIndex(({ kind }) => kind === 'primary-elected'));
      const found = since.filter(({ kind }) => /^(wal-archived|rewind-finished|clone-)/.test(kind));
      return found.length >= 2 ? found : null;
    });
    expect(repairs.map(({ kind, member }) => [kind, member])).toEqual([
      ['wal-archived', old.id],
      ['rewind-finished', old.id],
    ]);
    await client.end().catch(() => undefined);
  });
});

/** What a process calls itself; nothing for one that has ended. */
function titleOf(pid: number): string {
  const file = `/proc/${pid}/cmdline`;
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}
