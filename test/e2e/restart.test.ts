import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster } from '../support/cluster.ts';
import { auditLedger, LEDGER_TABLE, LedgerWriter } from '../support/ledger.ts';
import { until } from '../support/wait.ts';

// Each test goes on with what the one before has left.
describe('settings of PostgreSQL, and restarts one after the other', () => {
  let cluster: Cluster;

  const configure = (settings: Record<string, string | number>): void =>
    writeFileSync(join(cluster.parent, 'understudy.yaml'), `postgres: ${JSON.stringify(settings)}\n`);
  const shown = async (): Promise<{ work_mem: string; max_connections: string }> => {
    const client = cluster.client();
    await client.connect();
    const { rows } = await client.query('select current_setting($1) as work_mem, current_setting($2) as max_connections', [
      'work_mem',
      'max_connections',
    ]);
    await client.end();
    return rows[0];
  };
  const whenPending = () =>
    cluster.whenStatus('settings that wait on every member', ({ members }) =>
      members.every(m => m.pendingRestart?.join() === 'max_connections'),
    );

  beforeAll(async () => {
    cluster = await Cluster.prepare();
    configure({ work_mem: '8MB', max_connections: 220 });
    expect((await cluster.up()).code).toBe(0);
  });
  afterAll(() => cluster.destroy());

  it('begins with them, and takes others on while it runs as far as PostgreSQL can', async () => {
    expect(await shown()).toEqual({ work_mem: '8MB', max_connections: '220' });
    configure({ work_mem: '16MB', max_connections: 260 });
    await whenPending();
    expect(await shown()).toEqual({ work_mem: '16MB', max_connections: '220' });
    expect((await cluster.command('status')).stdout).toMatch(/Settings wait for `understudy restart`/);
  });

  it('restarts every server for the rest, under writes, without an error for a client', async () => {
    const client = cluster.client();
    await client.connect();
    await client.query(LEDGER_TABLE);
    const writer = new LedgerWriter(client, 1);
    writer.start();
    const before = await cluster.status();
    const plan = await cluster.command('restart', '--dry-run');
    expect(plan.stdout.split('\n').length).toBe(5);
    expect(await cluster.command('restart')).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Restarted: n2, n3, n1\./) });
    const after = await cluster.whenHealthy();
    await writer.stop();
    expect(writer.errors).toEqual([]);
    expect(after.term).toBe(before.term + 1);
    expect(after.members.map(m => m.postmasterPid)).not.toEqual(expect.arrayContaining([before.members[0]!.postmasterPid]));
    expect(await shown()).toEqual({ work_mem: '16MB', max_connections: '260' });
    expect(await auditLedger(client, [{ id: 1, acknowledged: writer.acknowledged }])).toEqual({ lost: [], doubled: [] });
    await client.end();
  });

  it('lowers a limit on the primary first, in its own term', async () => {
    const before = await cluster.status();
    configure({ work_mem: '16MB', max_connections: 240 });
    await whenPending();
    expect((await cluster.command('restart')).stdout).toContain(`Restarted: ${before.primary}, `);
    expect((await cluster.whenHealthy()).term).toBe(before.term);
    expect(await shown()).toEqual({ work_mem: '16MB', max_connections: '240' });
  });

  it('has nothing to do when nothing waits, also after servers have read their files again; it says so', async () => {
    // A switchover has every server read them.
    expect((await cluster.command('switchover')).code).toBe(0);
    expect((await cluster.whenHealthy()).members.filter(m => m.pendingRestart !== undefined)).toEqual([]);
    for (const command of ['restart', 'upgrade'])
      expect(await cluster.command(command)).toMatchObject({ code: 0, stdout: 'No server waits for a restart.\n' });
  });

  it('keeps what it has when PostgreSQL refuses a value', async () => {
    configure({ work_mem: '16 bananas' });
    const refusal = /invalid value for parameter \\?"work_mem\\?"/;
    await until('the refusal', async () => (refusal.test((await cluster.command('events', '--json')).stdout) ? true : null));
    expect(await shown()).toEqual({ work_mem: '16MB', max_connections: '240' });
  });

  it('G2: is refused with 6 where a single replica would have to go', async () => {
    configure({ work_mem: '16MB', max_connections: 240 });
    const { primary, members } = await cluster.whenHealthy();
    const [gone, left] = members.filter(({ id }) => id !== primary).map(({ id }) => id);
    expect((await cluster.command('replica', 'remove', gone!)).code).toBe(0);
    expect(await cluster.command('restart', left!)).toMatchObject({
      code: 6,
      stderr: expect.stringMatching(/fewer replicas would be left/),
    });
    expect((await cluster.command('restart', left!, '--dry-run')).code).toBe(6);
  });
});
