import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StatusDocument } from '../../packages/server/src/api/types.ts';
import { Cluster, primaryOf } from '../support/cluster.ts';
import { hasProgram } from '../support/program.ts';

describe('one command starts a cluster', () => {
  let cluster: Cluster;
  let status: StatusDocument;

  beforeAll(async () => {
    cluster = await Cluster.prepare();
    const outcome = await cluster.up();
    expect(outcome.stderr).not.toMatch(/^error:/m);
    expect(outcome.code).toBe(0);
    status = JSON.parse(outcome.stdout) as StatusDocument;
  });
  afterAll(() => cluster.destroy());

  it('prints a healthy status of schema 1', () => {
    expect(status).toMatchObject({
      schema: 1,
      cluster: 'main',
      verdict: 'healthy',
      term: 1,
      primary: 'n1',
      paused: false,
      durability: { mode: 'quorum', acks: 1, cohort: ['n2', 'n3'], protected: true },
    });
    expect(status.members.map(m => [m.id, m.role, m.state])).toEqual([
      ['n1', 'primary', 'running'],
      ['n2', 'replica', 'running'],
      ['n3', 'replica', 'running'],
    ]);
    expect(status.endpoints.router).toContain(`:${cluster.port}/`);
  });

  it('answers a write and then a read on one connection, and on another', async () => {
    const writer = cluster.client();
    const reader = cluster.client();
    await writer.connect();
    await reader.connect();
    await writer.query('create table posts(id int primary key, title text)');
    for (let id = 1; id <= 50; id++) {
      await writer.query('insert into posts values ($1, $2)', [id, `post ${id}`]);
      const own = await writer.query('select title from posts where id = $1', [id]);
      const other = await reader.query('select title from posts where id = $1', [id]);
      expect([own.rows, other.rows]).toEqual([[{ title: `post ${id}` }], [{ title: `post ${id}` }]]);
    }
    await writer.end();
    await reader.end();
  });

  it('lets replicas answer reads in autocommit, and the primary those in a transaction', async () => {
    const pool = cluster.pool(8);
    const ports = new Set<number>();
    // A replica whose first answer came late is passed over for some milliseconds, and then tried again.
    while (ports.size < 2) {
      const answers = await Promise.all(
        Array.from({ length: 80 }, () => pool.query('select pg_is_in_recovery() as recovering, inet_server_port() as port')),
      );
      expect(answers.every(({ rows }) => rows[0].recovering === true)).toBe(true);
      for (const { rows } of answers) ports.add(rows[0].port);
    }
    await pool.end();

    const client = cluster.client();
    await client.connect();
    await client.query('begin');
    expect((await client.query('select pg_is_in_recovery() as recovering')).rows).toEqual([{ recovering: false }]);
    await client.query('commit');
    await client.end();
  });

  it('is idempotent: up again prints the status of what runs', async () => {
    const outcome = await cluster.up();
    expect(outcome.code).toBe(0);
    expect(JSON.parse(outcome.stdout)).toMatchObject({ verdict: 'healthy', supervisorPid: status.supervisorPid });
  });

  it('says the same in status --json, and a sentence in status', async () => {
    const json = await cluster.command('status', '--json');
    expect([json.code, JSON.parse(json.stdout).primary]).toEqual([0, 'n1']);
    const text = await cluster.command('status');
    expect(text.stdout).toContain('n1 is the primary of term 1 with 2 replicas');
  });

  it.runIf(hasProgram('psql'))('runs psql against the endpoint', async () => {
    const outcome = await cluster.command('psql', '--', '-Atc', 'select 6 * 7');
    expect([outcome.code, outcome.stdout.trim()]).toEqual([0, '42']);
  });

  it('keeps its data over down and up', async () => {
    const down = await cluster.command('down');
    expect(down.code).toBe(0);
    expect((await cluster.command('status')).code).toBe(4);
    const up = await cluster.up();
    expect([up.code, JSON.parse(up.stdout).verdict]).toEqual([0, 'healthy']);
    const client = cluster.client();
    await client.connect();
    expect((await client.query('select count(*)::int as n from posts')).rows).toEqual([{ n: 50 }]);
    await client.end();
  });

  it('is adopted when its supervisor was killed: PostgreSQL runs on and nothing is lost', async () => {
    const before = await cluster.status();
    process.kill(before.supervisorPid, 'SIGKILL');
    const up = await cluster.up();
    expect(up.code).toBe(0);
    const after = JSON.parse(up.stdout) as StatusDocument;
    expect(after.verdict).toBe('healthy');
    expect(after.members.map(m => m.postmasterPid)).toEqual(before.members.map(m => m.postmasterPid));
    expect([after.term, primaryOf(after).id]).toEqual([before.term, primaryOf(before).id]);
    const client = cluster.client();
    await client.connect();
    expect((await client.query('select count(*)::int as n from posts')).rows).toEqual([{ n: 50 }]);
    await client.end();
  });
});
