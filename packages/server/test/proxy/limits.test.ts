import { expect, test } from 'vitest';
import type { ProxyFailure } from '../../src/proxy/errors.ts';
import { type Activity, type TimedClient, TimeLimits } from '../../src/proxy/limits.ts';
import { DEFAULT_PROXY_OPTIONS } from '../../src/proxy/options.ts';

class Client implements TimedClient {
  activity: Activity = 'idle';
  unitsSent = 0;
  readonly told: string[] = [];
  fail(failure: ProxyFailure): void {
    this.told.push(failure.fields.code);
  }
  async cancel(): Promise<void> {
    this.told.push('cancel');
  }
}

function limited(change: object): { client: Client; sweep: (nowMs: number) => void } {
  const client = new Client();
  const options = { ...DEFAULT_PROXY_OPTIONS, router: { user: '', password: '', database: '' }, ...change };
  const limits = new TimeLimits(options, () => [client]);
  return { client, sweep: nowMs => limits.sweep(nowMs) };
}

test('without limits nobody is touched', () => {
  const { client, sweep } = limited({});
  for (const activity of ['idle', 'in-transaction', 'active'] as const) {
    client.activity = activity;
    for (const nowMs of [0, 1e6, 1e9]) sweep(nowMs);
  }
  expect(client.told).toEqual([]);
});

test('an idle client is let go after the limit, one that works in between is not', () => {
  const { client, sweep } = limited({ idleTimeoutMs: 1000 });
  sweep(0);
  sweep(900);
  client.unitsSent += 1;
  sweep(1100);
  sweep(2000);
  expect(client.told).toEqual([]);
  sweep(2100);
  expect(client.told).toEqual(['57P05']);
});

test('an open transaction has a limit of its own', () => {
  const { client, sweep } = limited({ idleTimeoutMs: 100, idleInTransactionTimeoutMs: 1000 });
  client.activity = 'in-transaction';
  sweep(0);
  sweep(999);
  expect(client.told).toEqual([]);
  sweep(1000);
  expect(client.told).toEqual(['25P03']);
});

test('a statement is cancelled after its limit, and again while it goes on', () => {
  const { client, sweep } = limited({ queryTimeoutMs: 1000 });
  client.activity = 'active';
  client.unitsSent = 1;
  for (const nowMs of [0, 999, 1000, 1500, 2000]) sweep(nowMs);
  expect(client.told).toEqual(['cancel', 'cancel']);
});
