import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { cancelRequest, frontend, readErrorFields } from '@understudy/wire';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WireClient } from '../support/wire-client.ts';
import { CREDENTIALS, sql } from './postgres-fixture.ts';
import { client, openProxyBench, type ProxyBench, secondProxy } from './proxy-fixture.ts';

const ROWS = 400;
/** The text of each row, of a size between nothing and some kilobytes, so that a reply of another row can never look right. */
const textOf = (id: number): string =>
  `${id}:${createHash('md5')
    .update(String(id))
    .digest('hex')
    .repeat((id * 7) % 90)}`;
const READ = 'SELECT id, text FROM carried WHERE id = $1';

/** Numbers that are the same at each run (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

describe('reads of many clients in lanes', () => {
  let on: ProxyBench;

  beforeAll(async () => {
    on = await openProxyBench(1);
    const c = await client(on);
    await c.query('CREATE TABLE carried (id int PRIMARY KEY, text text)');
    await c.query('INSERT INTO carried SELECT * FROM unnest($1::int[], $2::text[])', [
      Array.from({ length: ROWS }, (_, id) => id),
      Array.from({ length: ROWS }, (_, id) => textOf(id)),
    ]);
    await untilLanesRun(on);
  });

  afterAll(() => on?.close());

  /** Until the statement is known to be quick and a lane is open. */
  async function untilLanesRun(bench: ProxyBench): Promise<void> {
    const c = await client(bench);
    while (bench.proxy.stats().laneReads === 0) expect((await c.query(READ, [1])).rows[0]?.text).toBe(textOf(1));
    await c.end();
  }

  const laneReads = (): number => on.proxy.stats().laneReads;

  test('every client gets its own rows, errors and messages', async () => {
    const before = laneReads();
    const random = randomFrom(11);
    await Promise.all(
      Array.from({ length: 24 }, async (_, n) => {
        const c = await client(on, { application_name: 'same' });
        for (let i = 0; i < 60; i++) {
          const id = Math.floor(random() * ROWS);
          const kind = random();
          if (kind < 0.1)
            await expect(c.query('SELECT id / (id - $1) AS x FROM carried WHERE id = $1', [id])).rejects.toMatchObject({ code: '22012' });
          else if (kind < 0.2)
            await expect(c.query({ text: 'SELECT nothing FROM carried WHERE id = $1', values: [id] })).rejects.toMatchObject({
              code: '42703',
            });
          else if (kind < 0.5) expect((await c.query({ name: 'read', text: READ, values: [id] })).rows).toEqual([{ id, text: textOf(id) }]);
          else if (kind < 0.6)
            expect((await c.query(`SELECT id, text FROM carried WHERE id = ${id}`)).rows).toEqual([{ id, text: textOf(id) }]);
          else if (kind < 0.65)
            expect((await c.query('SELECT $1::int AS n FROM carried WHERE id < 100', [n])).rows).toEqual(
              Array.from({ length: 100 }, () => ({ n })),
            );
          else expect((await c.query(READ, [id])).rows).toEqual([{ id, text: textOf(id) }]);
        }
        await c.end();
      }),
    );
    expect(laneReads()).toBeGreaterThan(before);
  });

  test('lanes whose backends are killed, clients that cancel, leave and send byte by byte: no reply goes astray', async () => {
    const before = laneReads();
    const random = randomFrom(12);
    let over = false;
    const killing = (async () => {
      while (!over) {
        await sql(
          on.replicas[0] as never,
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres' AND application_name = 'rider' ORDER BY random() LIMIT 1",
        );
        await new Promise(resolve => setTimeout(resolve, 20));
      }
    })();
    const run = (id: number): Buffer =>
      Buffer.concat([
        frontend.parse('', READ),
        frontend.bind('', '', [String(id)]),
        frontend.describe({ kind: 'portal', name: '' }),
        frontend.execute(),
        frontend.SYNC,
      ]);
    await Promise.all(
      Array.from({ length: 16 }, async (_, n) => {
        let c = await WireClient.login(on.port, 'postgres', CREDENTIALS.superuser, { application_name: 'rider' });
        for (let i = 0; i < 40; i++) {
          const id = Math.floor(random() * ROWS);
          const bytes = run(id);
          if (n === 0) for (const byte of bytes) c.send(Buffer.of(byte));
          else if (n < 4) {
            const at = Math.floor(random() * bytes.length);
            c.send(bytes.subarray(0, at));
            await new Promise(setImmediate);
            c.send(bytes.subarray(at));
          } else c.send(bytes);
          const cancels = random() < 0.15;
          if (cancels && c.key !== null)
            connect({ host: '127.0.0.1', port: on.port })
              .on('error', () => undefined)
              .end(cancelRequest(c.key));
          if (random() < 0.05) {
            // Leaves without waiting for the answer; another comes in its place.
            await c.end();
            c = await WireClient.login(on.port, 'postgres', CREDENTIALS.superuser, { application_name: 'rider' });
            continue;
          }
          const received = await c.untilReady();
          const error = received.find(m => m.type === 'E');
          if (error !== undefined) {
            // Cancelled by this client now or a moment ago, or cut while rows were on their way to it.
            expect(['57014', '57P01']).toContain(readErrorFields(error.frame).code);
            continue;
          }
          expect(received.map(m => m.type).join('')).toBe('12TDCZ');
          const row = received.find(m => m.type === 'D')?.frame.toString() ?? '';
          expect(row.endsWith(textOf(id))).toBe(true);
        }
        await c.end();
      }),
    );
    over = true;
    await killing;
    // On a machine that is busy enough no read was quick meanwhile; then they ride again now.
    const c = await client(on);
    while (laneReads() === before) expect((await c.query(READ, [1])).rows[0]?.text).toBe(textOf(1));
    await c.end();
  });

  test('a read in a lane sees what was written before it', async () => {
    const [writer, reader] = [await client(on), await client(on)];
    for (let i = 1; i <= 40; i++) {
      await writer.query('UPDATE carried SET text = $1 WHERE id = 0', [`v${i}`]);
      expect((await reader.query(READ, [0])).rows[0]?.text).toBe(`v${i}`);
    }
  });

  test('settings keep clients apart, and a client with a timeout of its own rides alone', async () => {
    const [a, b] = [await client(on), await client(on)];
    await b.query("SET timezone = 'Asia/Tokyo'");
    const zone = async (c: pg.Client): Promise<unknown> =>
      (await c.query("SELECT extract(timezone_hour FROM '2020-01-01 00:00'::timestamptz)::int AS h FROM carried WHERE id = $1", [1]))
        .rows[0]?.h;
    for (let i = 0; i < 10; i++) expect([await zone(a), await zone(b)]).toEqual([0, 9]);
    const before = laneReads();
    const c = await client(on, { options: '-c statement_timeout=60000' });
    for (let i = 0; i < 10; i++) await c.query(READ, [1]);
    expect(laneReads()).toBe(before);
  });

  test('without lanes everything is the same', async () => {
    const off = await secondProxy(on, { lanes: 'off' });
    const c = await client(off);
    for (let i = 0; i < 10; i++) expect((await c.query(READ, [5])).rows[0]?.text).toBe(textOf(5));
    expect(off.proxy.stats()).toMatchObject({ laneReads: 0, lanes: 0 });
  });
});
