import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster } from '../support/cluster.ts';
import { until } from '../support/wait.ts';

describe('members come and go while clients work', () => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await Cluster.start('--replicas', '1');
    const client = cluster.client();
    await client.connect();
    await client.query('create table counters(id int primary key, value int)');
    await client.query('insert into counters select i, 0 from generate_series(1, 1000) i');
    await client.end();
  });
  afterAll(() => cluster.destroy());

  it('adds a replica under writes and reads, then takes it away, without an error', async () => {
    const pool = cluster.pool(4);
    let statements = 0;
    let stopped = false;
    const workers = Array.from({ length: 4 }, async (_, worker) => {
      for (let i = 0; !stopped; i++) {
        const id = 1 + ((i * 4 + worker) % 1000);
        await pool.query('update counters set value = value + 1 where id = $1', [id]);
        await pool.query('select value from counters where id = $1', [id]);
        statements += 2;
      }
    });
    await until('some statements', () => (statements > 50 ? true : null));

    const added = await cluster.command('replica', 'add', '--json');
    expect([added.code, JSON.parse(added.stdout).member]).toEqual([0, 'n3']);
    const grown = await cluster.whenStatus('n3 in the cohort', s => s.durability.cohort.includes('n3'));
    expect(grown.members.map(m => m.id)).toEqual(['n1', 'n2', 'n3']);
    await cluster.whenStatus('reads on n3', s => (s.router.reads['n3'] ?? 0) > 0);

    const removed = await cluster.command('replica', 'remove', 'n3');
    expect(removed.code).toBe(0);
    const shrunk = await cluster.whenHealthy();
    expect(shrunk.members.map(m => m.id)).toEqual(['n1', 'n2']);
    await until('its directory gone', () => (existsSync(join(cluster.data, 'members', 'n3')) ? null : true));

    const before = statements;
    await until('statements afterwards', () => (statements > before + 50 ? true : null));
    stopped = true;
    await Promise.all(workers);
    await pool.end();
  });

  it('refuses to remove the primary or a stranger', async () => {
    const primary = await cluster.command('replica', 'remove', 'n1');
    expect([primary.code, primary.stderr]).toEqual([6, expect.stringContaining('n1 is the primary')]);
    const stranger = await cluster.command('replica', 'remove', 'n9');
    expect([stranger.code, stranger.stderr]).toEqual([2, expect.stringContaining('There is no member n9')]);
  });
});
