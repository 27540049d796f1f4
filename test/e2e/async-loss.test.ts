import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ClusterEvent } from '../../packages/core/src/cluster/events.ts';
import type { TermRecord } from '../../packages/core/src/cluster/state.ts';
import { Cluster, primaryOf } from '../support/cluster.ts';
import { freeze, postgresPids } from '../support/freeze.ts';

describe('durability async', () => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await Cluster.start('--durability', 'async', '--replicas', '1');
  });
  afterAll(() => cluster.destroy());

  async function ask<T>(path: string): Promise<T> {
    return (await (await fetch(`http://127.0.0.1:${cluster.httpPort}${path}`)).json()) as T;
  }

  async function walreceiverOf(id: string): Promise<number> {
    const found = (await postgresPids(cluster, id)).find(pid => titleOf(pid).includes('walreceiver'));
    if (found === undefined) throw new Error(`${id} has no walreceiver`);
    return found;
  }

  it('G7: a failover loses what the replica did not have; it is reported to the byte, and kept', async () => {
    const before = await cluster.whenHealthy();
    expect(before.durability).toMatchObject({ mode: 'async', acks: 0 });
    const old = primaryOf(before);
    const replica = before.members.find(m => m.role === 'replica')!;
    const client = cluster.client();
    await client.connect();
    await client.query('create table notes(n int)');
    await cluster.whenStatus('everything replayed', s => s.members.find(m => m.id === replica.id)?.lagBytes === 0);
    // From here on the replica takes nothing, and yet commits are acknowledged. Its walreceiver will have to be killed before it can be promoted.
    process.kill(await walreceiverOf(replica.id), 'SIGSTOP');
    await client.query('insert into notes select generate_series(1, 100)');
    // The machine of the primary stands still: a primary that only crashed would be started again, and lose nothing.
    const thaw = await freeze(cluster, old);
    await cluster.whenStatus('the replica leads', s => s.primary === replica.id && s.verdict !== 'no-primary');
    thaw();
    const after = await cluster.whenStatus('the old primary follows', s => s.primary === replica.id && s.verdict === 'healthy');

    const { events } = await ask<{ events: ClusterEvent[] }>('/events?limit=1000');
    const archived = events.find(e => e.kind === 'wal-archived');
    const { terms } = await ask<{ terms: TermRecord[] }>('/history');
    const record = terms.find(t => t.term === after.term)!;
    expect(archived?.member).toBe(old.id);
    expect(record.lostBytes).toBeGreaterThan(0);
    expect(record.lostBytes).toBe(archived?.inputs['bytes']);
    await client.end().catch(() => undefined);
  });
});

/** What a process calls itself; nothing for one that has ended. */
function titleOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}
