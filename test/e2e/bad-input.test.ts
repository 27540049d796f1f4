import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, connect } from 'node:net';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster } from '../support/cluster.ts';

describe('bad input gets a clear error and touches nothing', () => {
  it('a directory that is not ours', async () => {
    const cluster = await Cluster.prepare();
    mkdirSync(cluster.data);
    writeFileSync(join(cluster.data, 'thesis.txt'), 'years of work');
    const outcome = await cluster.up();
    expect([outcome.code, outcome.stderr]).toEqual([1, expect.stringContaining('holds no Understudy cluster')]);
    expect(readdirSync(cluster.data)).toEqual(['thesis.txt']);
    rmSync(cluster.parent, { recursive: true });
  });

  it('a port that is taken, when it was given explicitly', async () => {
    const cluster = await Cluster.prepare();
    const squatter = createServer();
    await new Promise<void>(resolve => squatter.listen(cluster.port, '127.0.0.1', resolve));
    const outcome = await cluster.up();
    squatter.close();
    expect([outcome.code, outcome.stderr]).toEqual([1, expect.stringContaining(`Port ${cluster.port} on 127.0.0.1 is already in use`)]);
    rmSync(cluster.parent, { recursive: true });
  });

  it.each([
    ['--replicas', '0'],
    ['--replicas', '99'],
    ['--replicas', 'two'],
    ['--port', '70000'],
    ['--durability', 'maybe'],
    ['--replica', '2'],
  ])('the usage error %s %s', async (flag, value) => {
    const cluster = await Cluster.prepare();
    const outcome = await cluster.up(flag, value);
    expect([outcome.code, outcome.stderr]).toEqual([2, expect.stringContaining(flag)]);
    expect(readdirSync(cluster.parent)).toEqual([]);
    rmSync(cluster.parent, { recursive: true });
  });

  it('an unknown setting in understudy.yaml, with the nearest name', async () => {
    const cluster = await Cluster.prepare();
    writeFileSync(join(cluster.parent, 'understudy.yaml'), 'replcias: 2\n');
    const outcome = await cluster.up();
    expect([outcome.code, outcome.stderr]).toEqual([2, expect.stringMatching(/replcias[\s\S]*replicas/)]);
    rmSync(cluster.parent, { recursive: true });
  });

  it('commands without a cluster', async () => {
    const cluster = await Cluster.prepare();
    for (const command of [['status'], ['url'], ['switchover'], ['events']]) {
      const outcome = await cluster.command(...command);
      expect([command[0], outcome.code === 0, outcome.stderr]).toEqual([command[0], false, expect.stringContaining('There is no cluster')]);
    }
    rmSync(cluster.parent, { recursive: true });
  });
});

describe('bad input to a cluster that exists', () => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await Cluster.start('--replicas', '1');
  });
  afterAll(() => cluster.destroy());

  it('a wrong password', async () => {
    const url = new URL(cluster.url);
    url.password = 'wrong';
    const client = new pg.Client({ connectionString: url.href });
    await expect(client.connect()).rejects.toMatchObject({ code: '28P01' });
  });

  it('garbage on the port is answered or closed, and clients go on', async () => {
    for (const garbage of [
      Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
      Buffer.alloc(64, 0xff),
      Buffer.from([0, 0, 0, 1, 2, 3]),
      Buffer.alloc(8),
    ]) {
      await new Promise<void>(resolve => {
        const socket = connect(cluster.port, '127.0.0.1', () => socket.write(garbage));
        socket.on('error', () => undefined);
        socket.on('data', () => undefined);
        socket.on('close', () => resolve());
      });
    }
    const client = cluster.client();
    await client.connect();
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    await client.end();
  });

  it('a corrupted state file, an unknown version, data of another PostgreSQL', async () => {
    expect((await cluster.command('down')).code).toBe(0);
    const file = join(cluster.data, 'state.json');
    const good = readFileSync(file, 'utf8');
    for (const [bad, sentence] of [
      ['{"revision": 7, "sta', 'cannot be read'],
      [good.replace('"schema": 1', '"schema": 2'), 'newer Understudy'],
      [good.replace(/"port": \d+/, '"port": 0'), 'cannot be read'],
    ] as const) {
      writeFileSync(file, bad);
      const outcome = await cluster.up();
      expect([outcome.code, outcome.stderr]).toEqual([1, expect.stringContaining(sentence)]);
      expect(readFileSync(file, 'utf8')).toBe(bad);
    }
    writeFileSync(file, good);
    const version = join(cluster.data, 'members', 'n2', 'data', 'PG_VERSION');
    const major = readFileSync(version, 'utf8');
    writeFileSync(version, '12\n');
    const outcome = await cluster.up();
    expect([outcome.code, outcome.stderr]).toEqual([1, expect.stringContaining('PostgreSQL 12')]);
    writeFileSync(version, major);
    expect((await cluster.up()).code).toBe(0);
  });
});
