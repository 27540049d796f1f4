import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { type Bench, type Member, openBench } from './postgres-fixture.ts';
import { openCluster, type OpenCluster, startReplica } from './proxy-fixture.ts';

/**
 * Servers that were stopped as each of some tests is to find them: to copy their files and start the copies costs a fraction of making them anew,
 * where a test kills its primary.
 */
export class StoppedCluster {
  readonly #bench: Bench;
  readonly #members: readonly Member[];

  private constructor(bench: Bench, members: readonly Member[]) {
    this.#bench = bench;
    this.#members = members;
  }

  static async make(replicaCount: number, prepare: (primary: Member) => Promise<unknown>): Promise<StoppedCluster> {
    const { bench, primary, replicas } = await openCluster(replicaCount);
    await prepare(primary);
    // A primary that shuts down gives its replicas its last record.
    for (const { server } of [primary, ...replicas]) await server.stop(20_000);
    return new StoppedCluster(bench, [primary, ...replicas]);
  }

  /** Running copies, with ports of their own. */
  async open(): Promise<OpenCluster> {
    const bench = await openBench('embedded');
    const copy = async (of: Member): Promise<Member> => {
      const member = await bench.member(of.id);
      // With owners and modes, and without copying the bytes where the file system can.
      await promisify(execFile)('cp', ['-a', of.spec.paths.memberDirectory, member.spec.paths.memberDirectory]);
      return member;
    };
    const [primary, ...replicas] = (await Promise.all(this.#members.map(copy))) as [Member, ...Member[]];
    await primary.server.start({ role: 'primary', synchronousNames: { kind: 'none' } });
    await primary.server.waitUntilReady(20_000);
    await Promise.all(replicas.map(replica => startReplica(primary, replica, 1)));
    return { bench, primary, replicas };
  }

  close(): Promise<void> {
    return this.#bench.close();
  }
}
