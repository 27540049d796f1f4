import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { MemberStatus } from '../../packages/server/src/api/types.ts';
import { Cluster, freePort, primaryOf } from '../support/cluster.ts';
import { hasProgram } from '../support/program.ts';
import { until } from '../support/wait.ts';

const docs = (file: string): string => readFileSync(new URL(`../../docs/${file}`, import.meta.url), 'utf8');

interface Rules {
  readonly groups: readonly { readonly rules: readonly { readonly alert: string }[] }[];
}
interface Dashboard {
  readonly panels: readonly { readonly title: string; readonly targets: readonly { readonly expr: string }[] }[];
}

const ALERTS = (parse(docs('monitoring/alerts.yaml')) as Rules).groups.flatMap(({ rules }) => rules.map(({ alert }) => alert));
const QUERIES = (JSON.parse(docs('monitoring/grafana.json')) as Dashboard).panels.flatMap(({ title, targets }) =>
  targets.map(({ expr }) => [title, expr.replaceAll('$job', 'understudy').replaceAll('$instance', '.*')] as const),
);

/** What others than ourselves make of a cluster: Debian's Prometheus and HAProxy, with the files of docs/. */
describe.skipIf(!hasProgram('prometheus') || !hasProgram('haproxy'))('programs that watch and that balance', () => {
  let cluster: Cluster;
  let load: Load;
  let prometheus: Prometheus;
  let haproxy: Haproxy;
  const programs: ChildProcess[] = [];

  beforeAll(async () => {
    cluster = await Cluster.start();
    load = await Load.start(cluster);
    [prometheus, haproxy] = await Promise.all([Prometheus.start(cluster, programs), Haproxy.start(cluster, programs)]);
  });
  afterAll(async () => {
    await load?.stop();
    for (const program of programs) program.kill('SIGKILL');
    await cluster?.destroy();
  });

  it('HAProxy sends to the primary, and goes with it in a switchover; replicas answer on their port', async () => {
    const before = primaryOf(await cluster.status());
    expect(await haproxy.servedBy('primary')).toBe(before.port);
    const replicas = (await cluster.status()).members.filter(({ role }) => role === 'replica').map(({ port }) => port);
    expect(replicas).toContain(await haproxy.servedBy('replicas'));

    // The counters must have been seen before they grow.
    await prometheus.until('a scrape', 'understudy_failovers_total{trigger="switchover"} == 0');
    const outcome = await cluster.command('switchover', '--yes', '--json');
    expect(outcome.code).toBe(0);
    const after = primaryOf(await cluster.whenStatus('another primary', ({ primary }) => primary !== null && primary !== before.id));
    await until('HAProxy follows', async () => ((await haproxy.servedBy('primary').catch(() => 0)) === after.port ? true : null));
    expect(load.errors).toEqual([]);
  });

  it('Prometheus has loaded every alert rule, and can evaluate it', async () => {
    const rules = await until('all rules evaluated', async () => {
      const { groups } = await prometheus.get<{ groups: { rules: { name: string; health: string; lastError?: string }[] }[] }>('rules');
      const all = groups.flatMap(group => group.rules);
      return all.length > 0 && all.every(({ health }) => health !== 'unknown') ? all : null;
    });
    expect(rules.filter(({ health }) => health !== 'ok')).toEqual([]);
    expect(rules.map(({ name }) => name)).toEqual(ALERTS);
  });

  it.each(QUERIES)('the dashboard’s “%s” has data: %s', async (_title, query) => {
    await prometheus.until('data', query);
  });

  it('an alert goes off when its time has come', async () => {
    expect((await cluster.command('pause')).code).toBe(0);
    await prometheus.until('the alert', 'ALERTS{alertname="UnderstudyPaused"}');
    expect((await cluster.command('resume')).code).toBe(0);
  });
});

/** Clients that write, read what they wrote, and prepare statements. */
class Load {
  readonly errors: string[] = [];
  readonly #pool: pg.Pool;
  #stopped = false;
  #done: Promise<unknown> = Promise.resolve();

  private constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  static async start(cluster: Cluster): Promise<Load> {
    const load = new Load(cluster.pool(2));
    await load.#pool.query('create table posts(id bigserial primary key, title text)');
    load.#done = Promise.all(Array.from({ length: 2 }, () => load.#work()));
    return load;
  }

  async #work(): Promise<void> {
    while (!this.#stopped) {
      await this.#round().catch((error: Error) => this.errors.push(error.message));
      await new Promise(resolve => setTimeout(resolve, 10));
    }
  }

  async #round(): Promise<void> {
    const { rows } = await this.#pool.query<{ id: string }>("insert into posts(title) values ('a post') returning id");
    await this.#pool.query({ name: 'post', text: 'select title from posts where id = $1', values: [rows[0]!.id] });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#done;
    await this.#pool.end();
  }
}

/** Debian's Prometheus with the configuration and the rules of docs/monitoring, in less of a hurry there. */
class Prometheus {
  readonly #api: string;

  private constructor(port: number) {
    this.#api = `http://127.0.0.1:${port}/api/v1`;
  }

  static async start(cluster: Cluster, programs: ChildProcess[]): Promise<Prometheus> {
    const folder = join(cluster.parent, 'prometheus');
    mkdirSync(folder);
    const config = docs('monitoring/prometheus.yaml').replaceAll(/_interval: \d+s/g, (text: string) => text.replace(/\d+s/, '500ms'));
    writeFileSync(join(folder, 'prometheus.yaml'), config.replace('127.0.0.1:8008', `127.0.0.1:${cluster.httpPort}`));
    writeFileSync(join(folder, 'alerts.yaml'), docs('monitoring/alerts.yaml'));
    const port = await freePort();
    const args = [
      `--config.file=${join(folder, 'prometheus.yaml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ];
    programs.push(start('prometheus', args));
    const isReady = async (): Promise<true | null> => ((await fetch(`http://127.0.0.1:${port}/-/ready`)).ok ? true : null);
    await until('Prometheus is ready', () => isReady().catch(() => null));
    const prometheus = new Prometheus(port);
    await prometheus.until('the first scrape', 'up{job="understudy"} == 1');
    return prometheus;
  }

  async get<T>(path: string): Promise<T> {
    const answer = (await (await fetch(`${this.#api}/${path}`)).json()) as { status: string; error?: string; data: T };
    if (answer.status !== 'success') throw new Error(answer.error);
    return answer.data;
  }

  /** Waits until the query finds something. An error of the query itself is not waited out. */
  async until(what: string, query: string): Promise<void> {
    await until(`${what} (${query})`, async () => {
      const found = await this.get<{ result: unknown[] }>(`query?query=${encodeURIComponent(query)}`);
      return found.result.length > 0 ? true : null;
    });
  }
}

type Doors = Readonly<Record<'primary' | 'replicas', number>>;

/** Debian's HAProxy with the configuration of docs/operating.md. */
class Haproxy {
  readonly #ports: Doors;
  readonly #url: URL;

  private constructor(ports: Doors, url: URL) {
    this.#ports = ports;
    this.#url = url;
  }

  static async start(cluster: Cluster, programs: ChildProcess[]): Promise<Haproxy> {
    const ports = { primary: await freePort(), replicas: await freePort() };
    const { members } = await cluster.status();
    const config = /```haproxy\n([^`]+)```/.exec(docs('operating.md'))![1]!;
    const file = join(cluster.parent, 'haproxy.cfg');
    writeFileSync(file, Haproxy.#placed(config, ports, members, cluster.httpPort));
    programs.push(start('haproxy', ['-db', '-f', file]));
    const url = new URL((await cluster.command('url', '--role', 'primary')).stdout.trim());
    const haproxy = new Haproxy(ports, url);
    for (const door of ['primary', 'replicas'] as const)
      await until(`HAProxy serves ${door}`, () => haproxy.servedBy(door).catch(() => null));
    return haproxy;
  }

  /** The ports of this cluster in place of the usual ones. */
  static #placed(config: string, ports: Doors, members: readonly MemberStatus[], httpPort: number): string {
    const placed = members.reduce(
      (text, { id, port }) => text.replaceAll(new RegExp(`(server ${id} 127.0.0.1:)\\d+`, 'g'), `$1${port}`),
      config,
    );
    return placed
      .replace('127.0.0.1:5000', `127.0.0.1:${ports.primary}`)
      .replace('127.0.0.1:5001', `127.0.0.1:${ports.replicas}`)
      .replaceAll('port 8008', `port ${httpPort}`);
  }

  /** The port of the server that a new connection through it ends at. */
  async servedBy(door: 'primary' | 'replicas'): Promise<number> {
    const { username, password, pathname } = this.#url;
    const client = new pg.Client({
      host: '127.0.0.1',
      port: this.#ports[door],
      user: username,
      password: decodeURIComponent(password),
      database: pathname.slice(1),
      connectionTimeoutMillis: 5000,
    });
    client.on('error', () => undefined);
    await client.connect();
    try {
      return (await client.query<{ port: number }>('select inet_server_port() as port')).rows[0]!.port;
    } finally {
      await client.end();
    }
  }
}

function start(program: string, args: readonly string[]): ChildProcess {
  return spawn(program, args, { stdio: ['ignore', 'ignore', process.env['UNDERSTUDY_TEST_VERBOSE'] ? 'inherit' : 'ignore'] });
}
