import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster, primaryOf } from '../support/cluster.ts';
import { auditLedger, LEDGER_TABLE, LedgerWriter } from '../support/ledger.ts';
import { until } from '../support/wait.ts';

describe('the primary dies', () => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await Cluster.start();
    const client = cluster.client();
    await client.connect();
    await client.query(LEDGER_TABLE);
    await client.end();
  });
  afterAll(() => cluster.destroy());

  async function startWriters(count: number): Promise<{ id: number; writer: LedgerWriter; acknowledged: readonly number[] }[]> {
    const writers = [];
    for (let id = 1; id <= count; id++) {
      const client = cluster.client();
      await client.connect();
      const number = (Date.now() % 1_000_000_000) + id;
      const writer = new LedgerWriter(client, number);
      writer.start();
      writers.push({ id: number, writer, acknowledged: writer.acknowledged });
    }
    return writers;
  }

  it('G2, G6: kill -9 under writers loses no acknowledged row, and the connections survive', async () => {
    const before = await cluster.whenHealthy();
    const old = primaryOf(before);
    const writers = await startWriters(4);
    await until('some acknowledged rows', () => (writers.every(w => w.acknowledged.length > 20) ? true : null));
    process.kill(old.postmasterPid!, 'SIGKILL');
    const atKill = writers.map(w => w.acknowledged.length);
    await until('rows acknowledged by the new primary', () =>
      writers.every((w, i) => w.acknowledged.length > atKill[i]! + 20) ? true : null,
    );
    await Promise.all(writers.map(w => w.writer.stop()));

    const after = await cluster.whenHealthy();
    expect(after.term).toBe(before.term + 1);
    expect(after.primary).not.toBe(before.primary);
    expect(after.members.find(m => m.id === old.id)).toMatchObject({ role: 'replica', state: 'running', inCohort: true });

    const auditor = cluster.client();
    await auditor.connect();
    expect(await auditLedger(auditor, writers)).toEqual({ lost: [], doubled: [] });
    await auditor.end();
    // A statement that was under way may have an unknown outcome; nothing else may be said to a client.
    for (const { writer } of writers) expect(writer.errors.filter(e => !['08007', '57P01'].includes(e.code))).toEqual([]);
  });

  it('goes on without an error for readers when a replica is killed', async () => {
    const before = await cluster.whenHealthy();
    const replica = before.members.find(m => m.role === 'replica')!;
    const pool = cluster.pool(4);
    let reads = 0;
    let stopped = false;
    const readers = Array.from({ length: 4 }, async () => {
      while (!stopped) {
        await pool.query('select count(*) from ledger');
        reads += 1;
      }
    });
    await until('some reads', () => (reads > 50 ? true : null));
    process.kill(replica.postmasterPid!, 'SIGKILL');
    const atKill = reads;
    await until('reads after the kill', () => (reads > atKill + 200 ? true : null));
    stopped = true;
    await Promise.all(readers);
    await pool.end();
    const after = await cluster.whenStatus(
      'the replica back',
      s => s.verdict === 'healthy' && s.members.find(m => m.id === replica.id)?.postmasterPid !== replica.postmasterPid,
    );
    expect(after.term).toBe(before.term);
  });

  it('survives the death of the agent: PostgreSQL is adopted, the term stays', async () => {
    const before = await cluster.whenHealthy();
    const primary = primaryOf(before);
    process.kill(primary.agentPid!, 'SIGKILL');
    const after = await cluster.whenStatus(
      'another agent',
      s => s.verdict === 'healthy' && ![null, primary.agentPid].includes(primaryOf(s).agentPid),
    );
    expect([after.term, primaryOf(after).postmasterPid]).toEqual([before.term, primary.postmasterPid]);
  });

  it('tells the story in events', async () => {
    const { stdout, code } = await cluster.command('events', '--json');
    expect(code).toBe(0);
    const kinds = stdout
      .trim()
      .split('\n')
      .map(line => (JSON.parse(line) as { kind: string }).kind);
    for (const kind of ['term-raised', 'promised', 'primary-elected', 'primary-promoted', 'primary-established', 'router-switched'])
      expect(kinds).toContain(kind);
  });
});
