import { afterAll, beforeAll, expect, test } from 'vitest';
import { clone } from '../../src/postgres/index.ts';
import { availableProviders, type Bench, eventually, type Member, openBench, sql, startPrimary } from './postgres-fixture.ts';

const HOUR_MS = 3_600_000;

let bench: Bench;
let n1: Member;
let n2: Member;

/** n1 with a replica that is an hour behind on purpose, and a row that was deleted since. */
beforeAll(async () => {
  bench = await openBench(availableProviders()[0]!);
  [n1, n2] = [await bench.member('n1'), await bench.member('n2', 30, { applyDelayMs: HOUR_MS })];
  await startPrimary(n1);
  await sql(n1, 'CREATE TABLE t AS SELECT generate_series(1, 3) AS i');
  const source = { host: '127.0.0.1', port: n1.spec.settings.port };
  await clone(n2.spec, { source, systemId: await n1.server.systemId(), slotName: 'slot_n2' });
});

afterAll(() => bench?.close());

const upstream = (term: number) =>
  ({ host: '127.0.0.1', port: n1.spec.settings.port, applicationName: `n2_t${term}`, slotName: 'slot_n2' }) as const;
const rows = async (member: Member): Promise<unknown> => (await sql(member, 'SELECT count(*)::int AS n FROM t'))[0]?.['n'];

async function observed() {
  const seen = await n2.server.observe(2000);
  if (seen.kind !== 'replica') throw new Error(`n2 is a ${seen.kind}`);
  return seen;
}

/** All that the primary has flushed lies on n2's disk. */
async function receivesAll(): Promise<void> {
  const primary = await n1.server.observe(2000);
  const flushed = primary.kind === 'primary' ? primary.flushLsn : 0n;
  await eventually(async () => ((await observed()).receiveLsn ?? 0n) >= flushed, 'n2 has received all');
}

test('a delayed replica receives at once what it shows later', async () => {
  await n2.server.start({ role: 'replica', upstream: upstream(1) });
  await n2.server.waitUntilReady(20_000);
  await eventually(async () => (await observed()).receiver?.streaming, 'n2 streams');
  await sql(n1, 'DELETE FROM t');
  await receivesAll();
  expect([await rows(n1), await rows(n2)]).toEqual([0, 3]);
});

test('it is isolated at once though its startup process waits, and follows again', async () => {
  const { pid } = n2.server;
  await n2.server.isolate(3000);
  expect(await observed()).toMatchObject({ receiver: null, followsAs: null });
  expect(n2.server.pid).toBe(pid);
  await n2.server.follow(upstream(2), 3000);
  // PostgreSQL asks for more only when it has applied all that it has.
  expect(await observed()).toMatchObject({ receiver: null, followsAs: 'n2_t2' });
  expect(await rows(n2)).toBe(3);
});

test('a restart does not make it show what it holds back', async () => {
  await n2.server.fence();
  await n2.server.start({ role: 'replica', upstream: null });
  await n2.server.waitUntilReady(20_000);
  const seen = await observed();
  expect([seen.walEnd, await rows(n2)]).toEqual([null, 3]);
});
