import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { primaryOf } from '../support/cluster.ts';
import { until } from '../support/wait.ts';
import { isExpected } from './faults.ts';
import { Machines } from './machines.ts';
import { MachinesRun } from './run.ts';

/** Faults of the short run, in this order; the rest are `npm run machines`. */
const SHORT = ['primary-cut-from-etcd', 'etcd-majority-lost', 'primary-cut-from-replicas', 'primary-cut-off'] as const;

/** A machine that runs tests is slow at times, and nothing here is about how quickly something is noticed. */
const PATIENT = {
  UNDERSTUDY_FAILOVER_LEASE_MS: '4000',
  UNDERSTUDY_FAILOVER_HANG_TIMEOUT_MS: '6000',
  UNDERSTUDY_FAILOVER_STREAM_VETO_MS: '4000',
  UNDERSTUDY_FAILOVER_REPLICA_TIMEOUT_MS: '10000',
  UNDERSTUDY_FAILOVER_ELECTION_TIMEOUT_MS: '12000',
};

// One cluster for all of it, in this order: to set it up is most of the time. Root alone may make namespaces; in CI it is root.
describe.skipIf(process.getuid?.() !== 0 && process.env['CI'] !== 'true')(
  'three nodes of etcd, three members and two proxies, each on its own machine',
  () => {
    let machines: Machines;
    beforeAll(async () => {
      machines = await Machines.start(PATIENT);
    }, 400_000);
    afterAll(() => machines?.stop());

    it('every member tells the same, and an operation may be asked of any', async () => {
      const status = await machines.whenHealthy();
      const [from, to] = [primaryOf(status).id, status.members.find(m => m.role === 'replica')!.id];
      const asked = status.members.findIndex(m => m.id !== from && m.id !== to);
      const outcome = await machines.command(asked, 'switchover', '--to', to);
      expect(outcome).toMatchObject({ code: 0 });
      for (const member of [0, 1, 2]) {
        const seen = await machines.whenStatus(
          `the switchover at member ${member}`,
          s => s.primary === to && s.verdict === 'healthy',
          60_000,
          [member],
        );
        // In the order in which they joined, which is anybody's.
        expect(seen.members.map(({ id }) => id).sort()).toEqual(['n1', 'n2', 'n3']);
      }
      const events = await machines.command(asked, 'events', '--json');
      expect(events.stdout).toContain('switchover-requested');
      expect((await machines.command(asked, 'replica', 'add')).code).toBe(6);
    }, 120_000);

    it('G2, G3, G4: while the service of the primary is restarted, under partitions and the loss of the store nothing acknowledged is lost, and losing the store demotes nobody', async () => {
      const run = new MachinesRun(machines, 'brief');
      await run.begin();
      // A service that is stopped hands over first: by a switchover, of which no client notices anything.
      expect(await run.restartPrimary()).toEqual({ exitCode: 0, termsPassed: 1, triggers: ['switchover'], unacknowledged: [] });
      for (const fault of SHORT) await run.inflict(fault);
      const report = await run.end();
      expect(report.surprises).toEqual([]);
      expect(report.verdict).toEqual({ lost: [], doubled: [], undead: [], stale: [], contradicted: [], splitTerms: [] });
      const unexpected = report.faults.filter(({ fault, termsPassed }) => !isExpected(fault, termsPassed));
      // With how each term came to be, so that a failure says why.
      expect({ unexpected, terms: unexpected.length > 0 ? report.terms : [] }).toEqual({ unexpected: [], terms: [] });
      expect(report.faults.map(({ fault }) => fault)).toEqual(SHORT);
    }, 400_000);

    it('a router that is cut off together with an old primary stops strong reads, until it hears of the others again', async () => {
      const status = await machines.whenHealthy();
      const old = machines.addressOf(primaryOf(status).id);
      const [, proxy] = machines.proxies as [string, string];
      const others = [...machines.etcd, ...machines.members, machines.proxies[0]!];
      machines.network.cut(
        old,
        others.filter(each => each !== old),
      );
      machines.network.cut(
        proxy,
        others.filter(each => each !== old),
      );
      const answers = async (options: string): Promise<boolean> =>
        (await machines.psqlOn(proxy, 'select count(*) from lists', options)).code === 0;
      await until('the end of strong reads', async () => ((await answers('')) ? null : true));
      await machines.whenStatus('another primary', s => s.verdict !== 'no-primary' && machines.addressOf(s.primary!) !== old);
      expect(await answers('')).toBe(false);
      machines.network.heal(old);
      machines.network.heal(proxy);
      await until('strong reads again', async () => ((await answers('')) ? true : null));
      await machines.whenHealthy();
    }, 240_000);

    it('servers are restarted one after the other, asked of any member', async () => {
      const before = await machines.whenHealthy();
      const outcome = await machines.command(0, 'restart', '--all');
      expect(outcome).toMatchObject({ code: 0 });
      const after = await machines.whenHealthy();
      expect(after.term).toBe(before.term + 1);
      const pids = (status: typeof after): readonly unknown[] => status.members.map(({ id, postmasterPid }) => [id, postmasterPid]);
      for (const life of pids(before)) expect(pids(after)).not.toContainEqual(life);
    }, 180_000);

    it('a member moves to another machine and leads there if it led; asked again, there is nothing left to do', async () => {
      const before = await machines.whenHealthy();
      const old = primaryOf(before).id;
      const asked = machines.members.findIndex(address => address !== machines.addressOf(old));
      machines.startSpare();
      const moved = await machines.command(asked, 'move', old, 'n4');
      expect(moved, moved.stderr).toMatchObject({ code: 0 });
      expect(await machines.whenEnded(machines.addressOf(old))).toBe(0);
      const after = await machines.whenStatus('n4 in its place', s => s.verdict === 'healthy' && s.primary === 'n4', 90_000, [asked]);
      const stayed = before.members.map(({ id }) => id).filter(id => id !== old);
      expect(after.members.map(({ id }) => id).sort()).toEqual([...stayed, 'n4'].sort());
      expect(await machines.command(asked, 'move', old, 'n4')).toMatchObject({ code: 0 });
    }, 180_000);
  },
);
