import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster, primaryOf } from '../support/cluster.ts';
import { freeze } from '../support/freeze.ts';
import { auditLedger, LEDGER_TABLE, LedgerWriter } from '../support/ledger.ts';
import { until } from '../support/wait.ts';

describe('the second failure', () => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await Cluster.start();
    const client = cluster.client();
    await client.connect();
    await client.query(LEDGER_TABLE);
    await client.end();
  });
  afterAll(() => cluster.destroy());

  /** Runs writers from before the fault until each has written on after it; nothing that they were told of may be missing. */
  async function underWriters(id: number, fault: () => Promise<void>): Promise<void> {
    const writers = await Promise.all(
      [id, id + 1, id + 2].map(async number => {
        const client = cluster.client();
        await client.connect();
        const writer = new LedgerWriter(client, number);
        writer.start();
        return { id: number, writer, acknowledged: writer.acknowledged, client };
      }),
    );
    await until('acknowledged rows', () => (writers.every(w => w.acknowledged.length > 20) ? true : null));
    await fault();
    const after = writers.map(w => w.acknowledged.length);
    await until('rows after the fault', () => (writers.every((w, i) => w.acknowledged.length > after[i]! + 20) ? true : null));
    await Promise.all(writers.map(w => w.writer.stop()));
    const auditor = cluster.client();
    await auditor.connect();
    expect(await auditLedger(auditor, writers)).toEqual({ lost: [], doubled: [] });
    for (const { writer } of writers) expect(writer.errors.filter(e => !['08007', '57P01'].includes(e.code))).toEqual([]);
    await Promise.all([auditor, ...writers.map(w => w.client)].map(client => client.end()));
  }

  it('G2: the new primary dies as soon as it is open, before the old one is back', async () => {
    const before = await cluster.whenHealthy();
    await underWriters(100, async () => {
      process.kill(primaryOf(before).postmasterPid!, 'SIGKILL');
      const second = await cluster.whenStatus('the second primary', s => s.term > before.term && s.verdict !== 'no-primary');
      process.kill(primaryOf(second).postmasterPid!, 'SIGKILL');
      await cluster.whenStatus('the third primary', s => s.term > second.term && s.verdict !== 'no-primary');
    });
    await cluster.whenHealthy();
  });

  it('G2: both replicas die at once and come back; the primary of the term stays', async () => {
    const before = await cluster.whenHealthy();
    const replicas = before.members.filter(m => m.role === 'replica');
    await underWriters(200, async () => {
      for (const { postmasterPid } of replicas) process.kill(postmasterPid!, 'SIGKILL');
      await cluster.whenStatus(
        'both replicas back',
        s => s.verdict === 'healthy' && replicas.every(r => s.members.find(m => m.id === r.id)?.postmasterPid !== r.postmasterPid),
      );
    });
    const after = await cluster.whenHealthy();
    expect([after.term, after.primary]).toEqual([before.term, before.primary]);
  });

  it('G2, G3: agent and PostgreSQL of the primary stand still, and go on when another leads: nothing is lost, and the old one follows', async () => {
    const before = await cluster.whenHealthy();
    const old = primaryOf(before);
    await underWriters(300, async () => {
      const thaw = await freeze(cluster, old);
      await cluster.whenStatus('another primary', s => s.term > before.term && s.verdict !== 'no-primary');
      thaw();
    });
    const after = await cluster.whenHealthy();
    expect(after.members.find(m => m.id === old.id)).toMatchObject({ role: 'replica', state: 'running', inCohort: true });
  });
});
