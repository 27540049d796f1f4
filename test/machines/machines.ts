import type { ChildProcess } from 'node:child_process';
import { mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ClusterEvent } from '../../packages/core/src/cluster/events.ts';
import type { HistoryAnswer, StatusDocument } from '../../packages/server/src/api/types.ts';
import { fetchTrusting } from '../../packages/server/src/cli/https-fetch.ts';
import { BIN } from '../support/cluster.ts';
import { type Outcome, outcomeOf, run } from '../support/program.ts';
import { until } from '../support/wait.ts';
import { Clocks } from './clocks.ts';
import { etcdLeader } from './etcd-leader.ts';
import { Network } from './network.ts';

/** Eight machines start at once, two of them with a copy of all data. */
const START_LIMIT_MS = 240_000;

type ClocksOf = 'one-clock' | 'own-clocks';

/** A cluster as docs/operating/three-machines.md sets it up: three nodes of etcd, three members, two proxies, each on a machine of its own. */
export class Machines {
  readonly network: Network;
  readonly etcd: readonly string[];
  readonly members: readonly string[];
  /** A machine for a member more, n4, on which nothing runs until `startSpare`. */
  readonly spare: string;
  readonly proxies: readonly string[];
  readonly #services = new Map<string, ChildProcess>();
  readonly #environment: NodeJS.ProcessEnv;
  /** Null: all machines go by the clock of this one. */
  readonly clocks: Clocks | null;
  #token = '';
  #password = '';

  private constructor(environment: NodeJS.ProcessEnv, clocks: ClocksOf) {
    this.#environment = environment;
    this.network = new Network();
    this.clocks = clocks === 'own-clocks' ? new Clocks(join(this.network.directory, 'clocks')) : null;
    this.etcd = [11, 12, 13].map(n => this.network.address(n));
    this.members = [21, 22, 23].map(n => this.network.address(n));
    this.spare = this.network.address(24);
    this.proxies = [31, 32].map(n => this.network.address(n));
  }

  /** `environment`: settings of all services, as variables. `own-clocks`: the members run Debian's PostgreSQL, each by a clock that can be set. */
  static async start(environment: NodeJS.ProcessEnv = {}, clocks: ClocksOf = 'one-clock'): Promise<Machines> {
    const machines = new Machines(environment, clocks);
    try {
      await machines.#start();
      return machines;
    } catch (error) {
      const logs = machines.logs();
      await machines.stop();
      throw new Error(`${(error as Error).message}\n${logs}`, { cause: error });
    }
  }

  /** Where clients connect: the proxy of that number. */
  url(proxy: 0 | 1 = 0): string {
    return `postgres://postgres:${this.#password}@${this.proxies[proxy]}:5432/postgres`;
  }

  /** Of the role `postgres`. */
  get password(): string {
    return this.#password;
  }

  /** The certificate of the cluster's authority, in PEM. */
  get authority(): string {
    return readFileSync(join(this.#files(this.members[0]!), 'ca.crt'), 'utf8');
  }

  /** A member's address by its name. */
  addressOf(member: string): string {
    return this.members[Number(member.slice(1)) - 1]!;
  }

  /** `understudy …` against the API of a member. */
  command(member: number, ...args: string[]): ReturnType<typeof run> {
    const ca = join(this.#files(this.members[member]!), 'ca.crt');
    const env = { UNDERSTUDY_TOKEN: this.#token, UNDERSTUDY_CA: ca, NODE_EXTRA_CA_CERTS: ca, NO_COLOR: '1' };
    return run(process.execPath, [BIN, ...args, '--url', this.#api(member)], { env, limitMs: 120_000 });
  }

  /** The status as the member of that number tells it; null when it does not answer. */
  async status(member: number): Promise<StatusDocument | null> {
    const answer = await this.#get(member, '/status', 1000);
    return answer.ok ? ((await answer.json()) as StatusDocument) : null;
  }

  /** What the member of that number has in its log. */
  async events(member: number): Promise<readonly ClusterEvent[]> {
    const answer = await this.#get(member, '/events?limit=1000', 5000);
    return ((await answer.json()) as { events: readonly ClusterEvent[] }).events;
  }

  /** As the first member that answers has it. */
  async history(): Promise<HistoryAnswer['terms']> {
    const asked = [0, 1, 2].map(member => this.#get(member, '/history', 5000));
    const answer = await Promise.any(asked);
    return ((await answer.json()) as HistoryAnswer).terms;
  }

  /** One statement through the proxy on this machine, by a client on it; after three seconds it counts as not answered. */
  psqlOn(proxy: string, sql: string, pgOptions: string): Promise<Outcome> {
    const child = this.network.spawn(proxy, ['psql', '-X', '-At', '-h', proxy, '-U', 'postgres', '-c', sql, 'postgres'], {
      cwd: this.network.directory,
      log: 'pipe',
      env: { PGPASSWORD: this.#password, PGOPTIONS: pgOptions, PGCONNECT_TIMEOUT: '3' },
    });
    return outcomeOf(child, undefined, 3000);
  }

  /** The node of etcd that leads the others. */
  etcdLeader(): Promise<string> {
    return etcdLeader(this.etcd, this.#files(this.etcd[0]!));
  }

  /** Waits until one of the members tells a status that fits. */
  whenStatus(
    what: string,
    fits: (status: StatusDocument) => boolean,
    limitMs = 90_000,
    asked: readonly number[] = [0, 1, 2],
  ): Promise<StatusDocument> {
    return until(
      what,
      async () => {
        for (const member of asked) {
          const status = await this.status(member).catch(() => null);
          if (status && fits(status)) return status;
        }
        return null;
      },
      limitMs,
    );
  }

  whenHealthy(limitMs = 90_000): Promise<StatusDocument> {
    return this.whenStatus('a healthy status', status => status.verdict === 'healthy' && status.members.length === 3, limitMs);
  }

  /** Starts what runs on this machine, as its unit file would. */
  startService(address: string): void {
    const cwd = this.#files(address);
    const log = openSync(join(this.network.directory, `${address}.log`), 'a');
    const clock = this.members.includes(address) ? this.clocks?.environment(address) : {};
    this.#services.set(
      address,
      this.network.spawn(address, this.#commandOf(address), { cwd, log, env: { ...this.#environment, ...clock } }),
    );
  }

  startSpare(): void {
    this.network.add(this.spare);
    this.startService(this.spare);
  }

  /** Stops what runs on this machine as its unit file would; resolves with its exit code. */
  stopService(address: string): Promise<number | null> {
    const service = this.#services.get(address)!;
    service.kill('SIGTERM');
    return this.whenEnded(address);
  }

  /** Resolves with the exit code of what runs on this machine. */
  whenEnded(address: string): Promise<number | null> {
    const service = this.#services.get(address)!;
    return service.exitCode === null ? new Promise(resolve => service.once('exit', resolve)) : Promise.resolve(service.exitCode);
  }

  /** The machine is gone: no process is left, and nothing answers. */
  lose(address: string): void {
    this.network.cut(address, 'all');
    this.network.signalAll(address, 'SIGKILL');
  }

  /** The machine comes back. */
  bringBack(address: string): void {
    this.network.heal(address);
    this.startService(address);
  }

  logs(): string {
    const { directory } = this.network;
    const files = [...this.members, ...this.proxies].map(address => `${address}.log`);
    const data = ['n1', 'n2', 'n3'].flatMap(id => [`data/${id}/events.jsonl`, `data/${id}/log/${id}.log`]);
    return [...files, ...data].map(file => `--- ${file}\n${tailOf(join(directory, file))}`).join('\n');
  }

  async stop(): Promise<void> {
    await this.network.remove();
  }

  async #start(): Promise<void> {
    const out = join(this.network.directory, 'machines');
    const lists = [
      '--etcd',
      this.etcd.join(','),
      '--members',
      [...this.members, this.spare].join(','),
      '--proxies',
      this.proxies.join(','),
    ];
    const init = await run(process.execPath, [BIN, 'init', ...lists, '--out', out, '--data-dir', join(this.network.directory, 'data')]);
    if (init.code !== 0) throw new Error(`init ended with ${init.code}: ${init.stderr}`);
    mkdirSync(join(this.network.directory, 'data'), { mode: 0o755 });
    const secrets = JSON.parse(readFileSync(join(out, 'ca', 'secrets.json'), 'utf8')) as { token: string; superuser: string };
    this.#token = secrets.token;
    this.#password = secrets.superuser;
    for (const address of [...this.etcd, ...this.members, ...this.proxies]) {
      this.network.add(address);
      this.startService(address);
    }
    await this.whenHealthy(START_LIMIT_MS);
    await this.whenStatus('both proxies', status => status.endpoints.router.includes(this.proxies[0]!));
  }

  #commandOf(address: string): readonly string[] {
    if (this.etcd.includes(address)) return ['etcd', '--config-file', 'etcd.yaml'];
    const kind = this.proxies.includes(address) ? 'proxy' : 'member';
    return [process.execPath, BIN, kind, '--config', `${kind}.yaml`];
  }

  #files(address: string): string {
    return join(this.network.directory, 'machines', address);
  }

  #get(member: number, path: string, timeoutMs: number): Promise<Response> {
    return fetchTrusting(this.authority)(`${this.#api(member)}${path}`, { headers: {}, signal: AbortSignal.timeout(timeoutMs) });
  }

  #api(member: number): string {
    return `https://${this.members[member]}:8008`;
  }
}

function tailOf(file: string): string {
  try {
    return readFileSync(file, 'utf8').split('\n').slice(-12).join('\n');
  } catch {
    return '(no file)';
  }
}
