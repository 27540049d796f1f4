import { execFileSync } from 'node:child_process';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { ClusterEvent } from '../../packages/core/src/cluster/events.ts';
import { Cluster, primaryOf } from '../support/cluster.ts';
import { freeze } from '../support/freeze.ts';

describe('what a commit rests on', () => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await Cluster.prepare();
    // Found by `up`, which runs beside it. Failovers follow each other here.
    writeFileSync(join(cluster.parent, 'understudy.yaml'), 'failover:\n  replicaTimeoutMs: 2000\n  flapBlockMs: 1\n');
    const outcome = await cluster.up('--replicas', '1');
    expect([outcome.code, outcome.stderr]).toEqual([0, expect.anything()]);
    await query('create table notes(n int)');
  });
  afterAll(() => cluster.destroy());

  async function query(text: string): Promise<void> {
    const client = cluster.client();
    await client.connect();
    await client.query(text);
    await client.end();
  }

  async function events(): Promise<ClusterEvent[]> {
    const response = await fetch(`http://127.0.0.1:${cluster.httpPort}/events?limit=1000`);
    return ((await response.json()) as { events: ClusterEvent[] }).events;
  }

  const replicaOf = (status: Awaited<ReturnType<Cluster['status']>>) => status.members.find(m => m.role === 'replica')!;

  it('whenAlone continue: the last replica gone, commits go on, and it is said that they are not protected', async () => {
    const before = await cluster.whenStatus('a protected cluster', s => s.verdict === 'healthy' && s.durability.protected);
    const replica = replicaOf(before);
    const thaw = await freeze(cluster, replica);
    try {
      await query('insert into notes values (1)');
      await cluster.whenStatus('no protection', s => !s.durability.protected && s.durability.acks === 0);
    } finally {
      thaw();
    }
    const after = await cluster.whenStatus('protection again', s => s.verdict === 'healthy' && s.durability.protected);
    expect([after.term, after.primary]).toEqual([before.term, before.primary]);
  });

  // Root alone may make devices; in CI it is root.
  it.skipIf(process.getuid?.() !== 0 && process.env['CI'] !== 'true').each([
    ['is full', 'as /dev/full', 7, 'disk-full'],
    ['takes no fsync', 'as /dev/null', 3, 'fsync'],
  ])('a primary whose disk %s (%s) is replaced, and comes back when it is well', async (_, __, minor, fault) => {
    const before = await cluster.whenStatus('a protected cluster', s => s.verdict === 'healthy' && s.durability.protected);
    const old = primaryOf(before);
    const lastId = (await events()).at(-1)!.id;
    // The agent's own probe of the disk writes here.
    const probe = join(cluster.data, 'members', old.id, 'understudy.probe');
    onTestFinished(() => rmSync(probe, { force: true }));
    // In one step: the agent makes the file anew at any moment.
    execFileSync('mknod', ['-m', '666', `${probe}.new`, 'c', '1', String(minor)]);
    renameSync(`${probe}.new`, probe);
    const after = await cluster.whenStatus(
      'another primary',
      s => s.term > before.term && s.primary !== old.id && s.verdict !== 'no-primary',
    );
    const raised = (await events()).find(e => e.id > lastId && e.kind === 'term-raised')!;
    expect([raised.inputs['trigger'], after.primary]).toEqual(['primary-failing', replicaOf(before).id]);
    expect((await events()).find(e => e.id > lastId && e.kind === 'server-failing')).toMatchObject({ member: old.id, inputs: { fault } });
    rmSync(probe);
    await cluster.whenStatus('the old primary in the cohort', s => s.verdict === 'healthy' && s.durability.cohort.includes(old.id));
  });
});
