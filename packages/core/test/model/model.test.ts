import { execFileSync, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const MODEL = fileURLToPath(new URL('./failover-model.mjs', import.meta.url));

describe('the exhaustive model of the protocol', () => {
  it('loses no acknowledged write in any state of two terms', () => {
    expect(execFileSync(process.execPath, [MODEL, 'terms=2'], { encoding: 'utf8' })).toMatch(/^complete: no violation in \d+ states/);
  });

  it('can tell: without an election quorum it loses one', () => {
    const { status, stdout } = spawnSync(process.execPath, [MODEL, 'terms=2', 'recruit=1'], { encoding: 'utf8' });
    expect([status, stdout]).toEqual([1, expect.stringMatching(/^VIOLATION: /)]);
  });
});
