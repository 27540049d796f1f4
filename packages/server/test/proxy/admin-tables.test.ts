import { describe, expect, it } from 'vitest';
import { type ClientFacts, showTable } from '../../src/proxy/admin-tables.ts';

describe('the tables of several workers', () => {
  it('clients stand one below the other, each with its worker', () => {
    const client = (worker: number): ClientFacts => ({
      user: 'u',
      database: 'd',
      applicationName: 'a',
      from: '10.0.0.1:5',
      tls: true,
      connectedMs: 1_500,
      state: 'idle',
      lastRoute: 'n2: fresh',
      worker,
    });
    const { rows } = showTable('clients', [[client(1)], [client(2), client(2)]]);
    expect(rows.map(row => row.at(-1))).toEqual(['1', '2', '2']);
    expect(rows[0]).toEqual(['u', 'd', 'a', '10.0.0.1:5', 'on', '1.5', 'idle', 'n2: fresh', '1']);
  });

  it('what is counted is added up', () => {
    const server = (member: string, reads: number) => ({ member, role: 'replica' as const, address: 'h:1', timeline: 1, reads });
    expect(showTable('servers', [[server('n2', 3), server('n3', 1)], [server('n2', 4)]]).rows).toEqual([
      ['n2', 'replica', 'h:1', '1', '7'],
      ['n3', 'replica', 'h:1', '1', '1'],
    ]);
    const pool = (user: string, connections: number, idle: number, waiting: number) => ({
      server: 'n1',
      role: 'primary' as const,
      user,
      database: 'd',
      connections,
      idle,
      waiting,
    });
    expect(showTable('pools', [[pool('a', 2, 1, 0)], [pool('a', 3, 0, 7), pool('b', 1, 1, 0)]]).rows).toEqual([
      ['n1', 'primary', 'a', 'd', '5', '1', '7'],
      ['n1', 'primary', 'b', 'd', '1', '1', '0'],
    ]);
    expect(
      showTable('stats', [
        [['writes', 1]],
        [
          ['writes', 2],
          ['reads.n2', 5],
        ],
      ]).rows,
    ).toEqual([
      ['writes', '3'],
      ['reads.n2', '5'],
    ]);
  });
});
