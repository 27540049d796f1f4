import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster, primaryOf } from '../support/cluster.ts';
import { freeze } from '../support/freeze.ts';
import { until } from '../support/wait.ts';

const SLOT = 'feed';

describe('a cluster that waits when it is alone', () => {
  let cluster: Cluster;
  let client: pg.Client;

  beforeAll(async () => {
    cluster = await Cluster.prepare();
    // Found by `up`, which runs beside it.
    writeFileSync(join(cluster.parent, 'understudy.yaml'), 'whenAlone: block\nfailover:\n  replicaTimeoutMs: 1500\n  flapBlockMs: 1\n');
    const outcome = await cluster.up('--replicas', '1');
    expect([outcome.code, outcome.stderr]).toEqual([0, expect.anything()]);
    client = cluster.client();
    await client.connect();
    await client.query('create table notes(n int)');
  });
  afterAll(async () => {
    await client.end();
    await cluster.destroy();
  });

  it('whenAlone block: with the last replica gone a commit waits, and is acknowledged when one is back', async () => {
    const before = await cluster.whenHealthy();
    const replica = before.members.find(m => m.role === 'replica')!;
    const thaw = await freeze(cluster, replica);
    let acknowledged = false;
    const insert = client.query('insert into notes values (0)').then(() => {
      acknowledged = true;
    });
    // It has been given up, and yet it still counts: commits go on waiting for it.
    const alone = await cluster.whenStatus('the replica given up', s => s.members.some(m => m.id === replica.id && m.state !== 'running'));
    await cluster.whenStatus('a verdict that says so', s => s.verdict !== 'healthy');
    expect([acknowledged, alone.durability.acks, alone.durability.cohort]).toEqual([false, 1, [replica.id]]);
    thaw();
    await insert;
    const after = await cluster.whenHealthy();
    expect([after.term, after.primary]).toEqual([before.term, before.primary]);
  });

  it('a logical slot made for failover goes on at the new primary without a gap', async () => {
    await client.query(`select pg_create_logical_replication_slot('${SLOT}', 'test_decoding', false, false, true)`);
    const seen = new Set<number>();
    // The copy is kept once the slot has moved on to where the replica could begin (slotsync.c), so it has to be used.
    await until(
      'a copy of the slot on the replica',
      async () => {
        await client.query('insert into notes values (0)');
        await client.query('select pg_log_standby_snapshot()');
        await consume(seen);
        return (await isCopied()) ? true : null;
      },
      60_000,
    );
    await client.query('insert into notes select generate_series(1, 50)');
    await consume(seen);
    await client.query('insert into notes select generate_series(51, 100)');
    const before = await cluster.status();
    process.kill(primaryOf(before).postmasterPid!, 'SIGKILL');
    await cluster.whenStatus('another primary', s => s.primary !== before.primary && s.verdict !== 'no-primary');
    await client.query('insert into notes select generate_series(101, 150)');
    await consume(seen);
    expect([...seen].filter(n => n > 0).sort((a, b) => a - b)).toEqual(Array.from({ length: 150 }, (_, i) => i + 1));
  });

  async function isCopied(): Promise<boolean> {
    const url = (await cluster.command('url', '--role', 'replica')).stdout.trim();
    const replica = new pg.Client({ connectionString: url });
    await replica.connect();
    try {
      const { rows } = await replica.query('select synced and not temporary as ready from pg_replication_slots where slot_name = $1', [
        SLOT,
      ]);
      return rows[0]?.ready === true;
    } finally {
      await replica.end();
    }
  }

  /** Takes what the slot gives out. */
  async function consume(seen: Set<number>): Promise<void> {
    const { rows } = await client.query<{ data: string }>(`select data from pg_logical_slot_get_changes('${SLOT}', null, null)`);
    for (const { data } of rows) {
      const n = /INSERT: n\[integer\]:(\d+)/.exec(data)?.[1];
      if (n !== undefined) seen.add(Number(n));
    }
  }
});
