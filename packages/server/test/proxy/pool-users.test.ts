import { describe, expect, it } from 'vitest';
import { PoolUsers } from '../../src/proxy/pool-users.ts';
import type { Identity } from '../../src/proxy/secrets.ts';

const identity = (user: string, key: number): Identity => ({ user, keys: { clientKey: Buffer.alloc(32, key), serverKey: null } });

describe('users of pools', () => {
  it('who logs in alike is the same one, proved anew', () => {
    const users = new PoolUsers();
    const first = users.of(identity('ann', 1), 'db', new Map());
    first.provenAtMs = 0;
    expect(users.of(identity('ann', 1), 'db', new Map())).toBe(first);
    expect(first.provenAtMs).toBeGreaterThan(0);
  });

  it('another database, role or fixed parameter is another one', () => {
    const users = new PoolUsers();
    const all = [
      users.of(identity('ann', 1), 'db', new Map()),
      users.of(identity('ann', 1), 'other', new Map()),
      users.of(identity('bob', 1), 'db', new Map()),
      users.of(identity('ann', 1), 'db', new Map([['log_connections', 'on']])),
    ];
    expect(new Set(all).size).toBe(4);
    expect(new Set(all.map(user => user.signature)).size).toBe(4);
  });

  it('a new password makes a new one, which clients to come share; the old one keeps its keys', () => {
    const users = new PoolUsers();
    const before = users.of(identity('ann', 1), 'db', new Map());
    const after = users.of(identity('ann', 2), 'db', new Map());
    expect(after).not.toBe(before);
    expect(after.signature).toBe(before.signature);
    expect(users.of(identity('ann', 2), 'db', new Map())).toBe(after);
    expect(before.identity.keys.clientKey[0]).toBe(1);
  });
});
