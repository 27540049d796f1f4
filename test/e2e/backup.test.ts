import { cpSync, openSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster } from '../support/cluster.ts';

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start('--replicas', '2');
});

afterAll(async () => {
  await cluster?.destroy();
});

const command = (...args: string[]) => cluster.command(...args);

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
