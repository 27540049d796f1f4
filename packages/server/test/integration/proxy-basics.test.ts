import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { client, lastRoute, openProxyBench, type ProxyBench } from './proxy-fixture.ts';

describe('the proxy in front of a primary and two replicas', () => {
  let on: ProxyBench;

  beforeAll(async () => {
    on = await openProxyBench(2);
  });

  afterAll(() => on?.close());

  test('autocommit reads are answered by replicas, everything in a transaction by the primary', async () => {
    const c = await client(on);
    const recovering = async (): Promise<unknown> => (await c.query('SELECT pg_is_in_recovery() AS r')).rows[0]?.r;
    expect(await recovering(), await lastRoute(c)).toBe(true);
    expect(await lastRoute(c)).toMatch(/^n[23]: /);
    await c.query('BEGIN');
    expect(await recovering()).toBe(false);
    await c.query('COMMIT');
    expect(await recovering()).toBe(true);
  });

  test('a read after a write sees it, on any connection', async () => {
    const [writer, reader] = [await client(on), await client(on)];
    await writer.query('CREATE TABLE seen (i int)');
    for (let i = 0; i < 200; i++) {
      await writer.query('INSERT INTO seen VALUES ($1)', [i]);
      for (const c of [writer, reader]) expect((await c.query('SELECT count(*)::int AS n FROM seen')).rows[0]?.n).toBe(i + 1);
    }
    const { reads } = on.proxy.stats();
    const onReplicas = (reads['n2'] ?? 0) + (reads['n3'] ?? 0);
    expect(onReplicas).toBeGreaterThan(300);
  });
});
