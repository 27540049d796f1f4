import type { MemberReport } from '@understudy/core/cluster';
import { expect, test } from 'vitest';
import { ProgressTeller } from '../../src/supervisor/progress-teller.ts';
import { reportOf } from '../store/fixture.ts';

const absent = { kind: 'absent' } as const;
const stopped = { kind: 'stopped', cleanShutdown: false, timeline: 1, checkpointLsn: 0n, crashed: true } as const;
const starting = { kind: 'starting', sinceMs: 5 } as const;
const failing = { kind: 'failing', forMs: 1, was: 'primary', fault: 'fsync' } as const;
const cloning = (bytesDone: number, bytesTotal: number | null) => ({ kind: 'cloning', bytesDone, bytesTotal }) as const;

function told(...reports: readonly Partial<MemberReport>[]): readonly string[] {
  const lines: string[] = [];
  const teller = new ProgressTeller(event => {
    const bytes = event.bytesDone === undefined ? '' : ` ${event.bytesDone}/${event.bytesTotal ?? '?'}`;
    lines.push(`${event.state} ${event.step}${bytes}: ${event.message}`);
  });
  for (const report of reports) teller.report(reportOf('n2', report));
  return lines;
}

test('a first member makes a database and starts', () => {
  expect(
    told(
      { server: absent, operation: { kind: 'initdb' } },
      { server: absent, operation: { kind: 'initdb' } },
      { server: { ...stopped, crashed: false } },
      { server: stopped, operation: { kind: 'starting' } },
      { server: starting },
      { server: failing },
      { server: failing },
    ),
  ).toEqual([
    'begin initdb: n2: making a new database',
    'done initdb: n2: database made',
    'begin start: n2: starting PostgreSQL',
    'done start: n2: PostgreSQL runs',
  ]);
});

test('a copy tells how far it is, and goes over into the start', () => {
  expect(
    told(
      { server: absent, operation: cloning(0, null) },
      { server: absent, operation: cloning(10, 20) },
      { server: stopped },
      { server: stopped, operation: { kind: 'starting' } },
    ),
  ).toEqual([
    'begin clone: n2: copying the primary',
    'progress clone 0/?: n2: copying the primary',
    'progress clone 10/20: n2: copying the primary',
    'done clone: n2: copy complete and verified',
    'begin start: n2: starting PostgreSQL',
  ]);
});

test('a copy that came to nothing is not called complete', () => {
  expect(told({ server: absent, operation: cloning(5, 20) }, { server: absent }).at(-1)).toBe(
    'failed clone: n2: copying the primary failed',
  );
});

test('neither is a database, nor a start', () => {
  expect(told({ server: absent, operation: { kind: 'initdb' } }, { server: absent }).at(-1)).toMatch(/^failed initdb/);
  expect(told({ server: stopped, operation: { kind: 'starting' } }, { server: stopped }).at(-1)).toMatch(/^failed start/);
});

test('members are told apart', () => {
  const lines: string[] = [];
  const teller = new ProgressTeller(({ member, state, step }) => lines.push(`${member} ${state} ${step}`));
  teller.report(reportOf('n1', { operation: { kind: 'initdb' } }));
  teller.report(reportOf('n2', { server: absent, operation: { kind: 'initdb' } }));
  teller.report(reportOf('n1'));
  expect(lines).toEqual(['n1 begin initdb', 'n2 begin initdb', 'n1 done initdb']);
});
