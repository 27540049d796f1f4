import { parseSettings } from '@understudy/core/schemas';
import type { Settings } from '@understudy/core/cluster';
import { describe, expect, it } from 'vitest';
import { describeChange, settingsChange } from '../../src/settings/changes.ts';

function settings(values: object): Settings {
  const parsed = parseSettings(values);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.issues));
  return parsed.settings;
}

describe('changed settings', () => {
  const told = (before: object, after: object): string | null => describeChange(settingsChange(settings(before), settings(after)));

  it('nothing, when nothing differs', () => {
    expect(told({ proxy: { poolSize: 50 }, routing: { allowFunctions: [] } }, {})).toBeNull();
  });

  it("the router's own are taken on at once", () => {
    expect(told({}, { proxy: { poolSize: 9 }, consistency: 'session', routing: { denyFunctions: ['f'] }, tls: { mode: 'require' } })).toBe(
      'The router takes on consistency, routing.denyFunctions, tls.mode, proxy.poolSize.',
    );
  });

  it('others, and the number of workers, with a restart', () => {
    expect(told({}, { port: 6000, proxy: { workers: 2, lanes: 'off' }, failover: { leaseMs: 9999 } })).toBe(
      'The router takes on proxy.lanes. Only a restart takes on port, proxy.workers, failover.leaseMs.',
    );
  });
});
