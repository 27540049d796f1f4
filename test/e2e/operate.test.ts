import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, openSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster, freePort, primaryOf } from '../support/cluster.ts';
import { run } from '../support/program.ts';
import { until } from '../support/wait.ts';

const MONITORING = fileURLToPath(new URL('../../docs/monitoring', import.meta.url));

let cluster: Cluster;
const children: ChildProcess[] = [];

beforeAll(async () => {
  cluster = await Cluster.start('--replicas', '2');
});

afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await cluster?.destroy();
});

const command = (...args: string[]) => cluster.command(...args);
const api = (): string => `http://127.0.0.1:${cluster.httpPort}`;

describe('backups', () => {
  let directory: string;

  it('are taken while the cluster works, and checked', async () => {
    await command('psql', '--', '-c', 'create table kept(i int)', '-c', 'insert into kept select generate_series(1, 1000)');
    const created = await command('backup', 'create', '--json');
    expect(created).toMatchObject({ code: 0 });
    ({ directory } = JSON.parse(created.stdout) as { directory: string });
    expect(JSON.parse((await command('backup', 'list', '--json')).stdout)).toMatchObject({ backups: [{ directory, cluster: 'main' }] });
    expect(await command('backup', 'verify', directory)).toMatchObject({ code: 0 });
  });

  it('that have one wrong byte are found out, and not restored', async () => {
    const damaged = join(cluster.parent, 'damaged');
    cpSync(directory, damaged, { recursive: true });
    const file = join(damaged, 'base.tar');
    const fd = openSync(file, 'r+');
    writeSync(fd, Buffer.from([0xff]), 0, 1, Math.floor(statSync(file).size / 2));
    expect(await command('backup', 'verify', damaged)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('is no complete backup') as string,
    });
  });

  it('become a new cluster, with passwords of its own', async () => {
    const restored = await Cluster.start('--replicas', '1', '--from-backup', directory);
    try {
      const { stdout } = await restored.command('psql', '--', '-Atc', 'select count(*) from kept');
      expect(stdout.trim()).toBe('1000');
      expect(new URL(restored.url).password).not.toBe(new URL(cluster.url).password);
      expect(await restored.up('--from-backup', directory)).toMatchObject({ code: 6 });
    } finally {
      await restored.destroy();
    }
  });
});

describe('secrets', () => {
  it('are in no answer, no log, no report and no command line, but in the one file of the owner', async () => {
    await command('report', '--to', join(cluster.parent, 'report.json'));
    const secrets = Object.values(JSON.parse(readFileSync(join(cluster.data, 'secrets.json'), 'utf8')) as Record<string, unknown>).filter(
      (value): value is string => typeof value === 'string' && value.length > 10,
    );
    expect(secrets.length).toBeGreaterThanOrEqual(4);
    const answers = ['status', 'events?limit=2000', 'history', 'metrics', 'openapi.json', 'tour', 'primary', 'plan?kind=switchover'];
    const texts = new Map<string, string>([['report', readFileSync(join(cluster.parent, 'report.json'), 'utf8')]]);
    for (const path of answers) texts.set(path, await (await fetch(`${api()}/${path}`)).text());
    for (const command of ['status', 'events', 'doctor', 'explain']) {
      const { stdout, stderr } = await cluster.command(command, ...(command === 'explain' ? ['select 1'] : []));
      texts.set(command, stdout + stderr);
    }
    for (const file of readdirSync(cluster.data, { recursive: true, encoding: 'utf8' }).filter(name =>
      /(^log|[.]log$|events)/.test(name),
    )) {
      const path = join(cluster.data, file);
      if (statSync(path).isFile()) texts.set(file, readFileSync(path, 'utf8'));
    }
    for (const pid of readdirSync('/proc').filter(name => /^\d+$/.test(name))) texts.set(`/proc/${pid}`, commandLineOf(pid));
    expect([...texts.keys()]).toEqual(expect.arrayContaining(['log/proxy.log', 'log/n1.log']));
    const told = [...texts].flatMap(([where, text]) => (secrets.some(secret => text.includes(secret)) ? [where] : []));
    expect(told).toEqual([]);
  });
});

function commandLineOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

describe('a real HAProxy, checked by name as its manual has it (http-check send uri-lf)', () => {
  it('sends writes to the primary and reads to replicas, also after a switchover', async () => {
    const ports = { primary: await freePort(), replica: await freePort() };
    const { members } = await cluster.whenHealthy();
    const servers = members.map(({ id, host, port }) => `  server ${id} ${host}:${port} check addr 127.0.0.1 port ${cluster.httpPort}`);
    const listen = (role: 'primary' | 'replica'): readonly string[] => [
      `listen ${role}`,
      `  bind 127.0.0.1:${ports[role]}`,
      '  option httpchk',
      `  http-check send meth OPTIONS uri-lf /members/%[srv_name]/${role}`,
      '  http-check expect status 200',
      '  default-server inter 200ms fall 2 rise 1 on-marked-down shutdown-sessions',
      ...servers,
    ];
    const defaults = ['defaults', '  mode tcp', ...['client', 'server', 'connect', 'check'].map(what => `  timeout ${what} 10s`)];
    const file = join(cluster.parent, 'haproxy.cfg');
    writeFileSync(file, [...defaults, ...listen('primary'), ...listen('replica'), ''].join('\n'));
    children.push(spawn('/usr/sbin/haproxy', ['-db', '-f', file], { stdio: 'ignore' }));
    const { password } = new URL(cluster.url);
    const answers = (role: 'primary' | 'replica', inRecovery: string): Promise<true> =>
      until(
        `${inRecovery} from HAProxy`,
        async () => {
          const url = `postgres://postgres:${password}@127.0.0.1:${ports[role]}/postgres`;
          const { stdout } = await run('psql', ['-Atc', 'select pg_is_in_recovery()', url]);
          return stdout.trim() === inRecovery ? true : null;
        },
        60_000,
      );
    await answers('primary', 'f');
    await answers('replica', 't');
    const before = primaryOf(await cluster.status()).id;
    expect(await command('switchover')).toMatchObject({ code: 0 });
    expect(primaryOf(await cluster.whenHealthy()).id).not.toBe(before);
    await answers('primary', 'f');
    await answers('replica', 't');
  });
});

describe('a real Prometheus', () => {
  it('takes the metrics, the rules, and every query of the Grafana dashboard', async () => {
    const port = await freePort();
    const folder = join(cluster.parent, 'prometheus');
    cpSync(MONITORING, folder, { recursive: true });
    const config = join(folder, 'prometheus.yaml');
    writeFileSync(config, readFileSync(config, 'utf8').replace('127.0.0.1:8008', `127.0.0.1:${cluster.httpPort}`).replaceAll('5s', '1s'));
    expect(await run('promtool', ['check', 'config', config])).toMatchObject({ code: 0 });
    const child = spawn(
      'prometheus',
      [`--config.file=${config}`, `--storage.tsdb.path=${join(folder, 'data')}`, `--web.listen-address=127.0.0.1:${port}`],
      { stdio: 'ignore' },
    );
    children.push(child);
    const ask = async <T>(path: string): Promise<T | null> => {
      const answer = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`).catch(() => null);
      return answer?.ok ? ((await answer.json()) as { data: T }).data : null;
    };
    const query = (expr: string) =>
      ask<{ result: readonly { metric: Record<string, string> }[] }>(`query?query=${encodeURIComponent(expr)}`);
    await command('psql', '--', '-c', 'select 1', '-c', 'create table seen()');
    await until('a scrape', async () => ((await query('understudy_info'))?.result.length ? true : null), 60_000);
    const dashboard = JSON.parse(readFileSync(join(folder, 'grafana.json'), 'utf8')) as { panels: { targets: { expr: string }[] }[] };
    const expressions = dashboard.panels.flatMap(panel => panel.targets.map(target => target.expr));
    expect(expressions.length).toBeGreaterThan(10);
    for (const expr of expressions) {
      await until(`an answer to ${expr}`, async () => ((await query(expr))?.result.length ? true : null), 60_000);
    }
    const rules = await until(
      'the rules',
      async () => {
        const found = await ask<{ groups: { rules: { name: string; health: string; lastError?: string }[] }[] }>('rules');
        const all = found?.groups.flatMap(group => group.rules) ?? [];
        return all.length > 5 && all.every(rule => rule.health !== 'unknown') ? all : null;
      },
      60_000,
    );
    expect(rules.filter(rule => rule.health !== 'ok')).toEqual([]);
    const named = JSON.stringify(expressions) + readFileSync(join(folder, 'alerts.yaml'), 'utf8');
    const exported = await (await fetch(`${api()}/metrics`)).text();
    const missing = [...named.matchAll(/understudy_[a-z_]+/g)].map(match => match[0]).filter(name => !exported.includes(`# TYPE ${name} `));
    expect(missing).toEqual([]);
    const gone = new Promise(resolve => child.once('exit', resolve));
    child.kill('SIGTERM');
    await gone;
    rmSync(folder, { recursive: true, force: true });
  });
});
