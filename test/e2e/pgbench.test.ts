import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster } from '../support/cluster.ts';
import { hasProgram, run } from '../support/program.ts';
import { until } from '../support/wait.ts';

describe.runIf(hasProgram('pgbench'))('pgbench TPC-B with 16 clients', () => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await Cluster.start();
    const made = await run('pgbench', ['-i', '-s', '5', '-q', cluster.url], { limitMs: 200_000 });
    expect([made.code, made.stderr]).toEqual([0, expect.stringContaining('done in')]);
  });
  afterAll(() => cluster.destroy());

  const bench = (...args: string[]) => run('pgbench', ['-n', '-c', '16', '-j', '2', ...args, cluster.url], { limitMs: 200_000 });

  async function ask(text: string): Promise<Record<string, string>> {
    const client = cluster.client();
    await client.connect();
    const { rows } = await client.query<Record<string, string>>(`/* understudy:primary */ ${text}`);
    await client.end();
    return rows[0]!;
  }

  /** Waits until so many more transactions are done. */
  async function transactions(more: number): Promise<void> {
    const aim = Number((await ask('select count(*) as n from pgbench_history'))['n']) + more;
    await until('transactions', async () => (Number((await ask('select count(*) as n from pgbench_history'))['n']) >= aim ? true : null));
  }

  /** Every transaction adds the same amount to an account, a teller and a branch, and notes it. */
  async function expectBalanced(): Promise<void> {
    const sums = await ask(`select (select sum(abalance) from pgbench_accounts) as a, (select sum(tbalance) from pgbench_tellers) as t,
      (select sum(bbalance) from pgbench_branches) as b, (select sum(delta) from pgbench_history) as h`);
    expect(sums).toEqual({ a: sums['h'], t: sums['h'], b: sums['h'], h: sums['h'] });
  }

  it('sees no error when the primary is changed by a switchover', async () => {
    const before = await cluster.whenHealthy();
    const load = bench('-T', '8');
    await transactions(100);
    const outcome = await cluster.command('switchover');
    expect([outcome.code, outcome.stderr]).toEqual([0, expect.anything()]);
    const done = await load;
    expect([done.code, done.stderr]).toEqual([0, expect.not.stringContaining('ERROR')]);
    expect(done.stdout).toContain('number of failed transactions: 0 ');
    const after = await cluster.whenHealthy();
    expect([after.term, after.primary === before.primary]).toEqual([before.term + 1, false]);
    await expectBalanced();
  });
});
