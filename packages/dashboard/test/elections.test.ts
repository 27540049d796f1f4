import type { TermRecord } from '@understudy/core/cluster';
import { describe, expect, it } from 'vitest';
import { electionsOf, totalMsOf } from '../src/model/elections.ts';
import { type EventLine, eventsOf } from './fixtures.ts';

const FAILOVER: readonly EventLine[] = [
  [1000, 'server-exited', 3, 'n1'],
  [1040, 'term-raised', 4, 'n2', "n1's PostgreSQL has exited."],
  [1050, 'promised', 4, 'n2'],
  [1065, 'promised', 4, 'n3'],
  [1080, 'primary-elected', 4, 'n3', 'n3 holds the most.'],
  [1230, 'primary-promoted', 4, 'n3'],
  [1280, 'primary-established', 4, 'n3'],
  [1290, 'router-switched', 4, 'n3'],
];

function record(term: number, primary: string, overrides: Partial<TermRecord> = {}): TermRecord {
  return {
    term,
    primary,
    timeline: term,
    trigger: 'primary-exited',
    reason: `term ${term}`,
    detectMs: 10,
    raisedAtMs: 500,
    electedAtMs: 520,
    promotedAtMs: 600,
    establishedAtMs: 640,
    lostBytes: 0,
    ...overrides,
  };
}

describe('electionsOf', () => {
  it('measures each phase of a failover from its events', () => {
    const [election] = electionsOf(eventsOf(FAILOVER), [record(3, 'n1')]);
    expect(election).toMatchObject({
      term: 4,
      cause: 'failover',
      outcome: 'complete',
      from: 'n1',
      to: 'n3',
      startedAtMs: 1000,
      endedAtMs: 1290,
    });
    expect(election?.phases).toEqual([
      { name: 'detect', ms: 40 },
      { name: 'recruit', ms: 25 },
      { name: 'choose', ms: 15 },
      { name: 'promote', ms: 150 },
      { name: 'establish', ms: 50 },
      { name: 'switch', ms: 10 },
    ]);
    expect(totalMsOf(election!)).toBe(290);
    expect([election?.reason, election?.choice]).toEqual(["n1's PostgreSQL has exited.", 'n3 holds the most.']);
  });

  it('shows an election that is under way as far as it has come', () => {
    const [election] = electionsOf(eventsOf(FAILOVER.slice(0, 5)));
    expect(election).toMatchObject({ outcome: 'under-way', to: 'n3' });
    expect(election?.phases.map(phase => phase.name)).toEqual(['detect', 'recruit', 'choose']);
  });

  it('calls an election superseded when a newer term came before it was established', () => {
    const elections = electionsOf(eventsOf([...FAILOVER.slice(0, 3), [1500, 'term-raised', 5, 'n3'], [1510, 'primary-elected', 5, 'n3']]));
    expect(elections.map(election => [election.term, election.outcome])).toEqual([
      [5, 'under-way'],
      [4, 'superseded'],
    ]);
  });

  it('begins a switchover with the operator who asked for it', () => {
    const lines: EventLine[] = [[700, 'switchover-requested', 3, null], ...FAILOVER.slice(1)];
    expect(electionsOf(eventsOf(lines))[0]).toMatchObject({ cause: 'switchover', startedAtMs: 700 });
  });

  it('takes how long the trouble was known from the event, when it says so', () => {
    const lines: EventLine[] = [[1040, 'term-raised', 4, 'n2', 'hung', { noticedMs: 1500 }], ...FAILOVER.slice(4)];
    expect(electionsOf(eventsOf(lines))[0]?.phases[0]).toEqual({ name: 'detect', ms: 1500 });
  });

  it('counts a promise to the term that was asked for, and the end of the hold as the switch', () => {
    const lines: EventLine[] = [
      ...FAILOVER.slice(0, 2),
      [1062, 'promised', 3, 'n2', 'asked', { askedTerm: 4 }],
      ...FAILOVER.slice(4, 7),
      [1300, 'router-released', 4, null],
    ];
    const phases = electionsOf(eventsOf(lines))[0]?.phases;
    expect(phases?.[1]).toEqual({ name: 'recruit', ms: 22 });
    expect(phases?.at(-1)).toEqual({ name: 'switch', ms: 20 });
  });

  it('believes the event of the trouble when the one who raised the term noticed it late', () => {
    const lines: EventLine[] = [
      FAILOVER[0]!,
      [1040, 'term-raised', 4, 'n1', 'gone', { noticedMs: 0, trigger: 'primary-exited' }],
      ...FAILOVER.slice(4),
    ];
    expect(electionsOf(eventsOf(lines), [record(3, 'n1')])[0]?.phases[0]).toEqual({ name: 'detect', ms: 40 });
  });

  it('calls the beginning of a cluster neither failover nor switchover', () => {
    const lines: EventLine[] = [[10, 'term-raised', 1, 'n1', 'new', { trigger: 'bootstrap', noticedMs: 0 }]];
    expect(electionsOf(eventsOf(lines))[0]).toMatchObject({ term: 1, cause: 'first' });
  });

  it('does not blame the trouble of another member, or of the election before', () => {
    const lines: EventLine[] = [
      ...FAILOVER,
      [2000, 'server-exited', 4, 'n2'],
      [9000, 'term-raised', 5, 'n2'],
      [9100, 'primary-elected', 5, 'n2'],
    ];
    expect(electionsOf(eventsOf(lines))[0]).toMatchObject({ from: 'n3', startedAtMs: 9000 });
  });

  it('never shows a phase shorter than nothing, though clocks differ', () => {
    const lines: EventLine[] = [...FAILOVER.slice(0, 7), [1200, 'router-switched', 4, 'n3']];
    const [election] = electionsOf(eventsOf(lines));
    expect(election?.phases.at(-1)).toEqual({ name: 'switch', ms: 0 });
    expect(election?.endedAtMs).toBe(1280);
  });

  it('fills up from the history what the events no longer tell', () => {
    const history = [
      record(1, 'n1', { trigger: 'bootstrap', detectMs: null }),
      record(2, 'n2', { trigger: 'switchover' }),
      record(3, 'n1'),
    ];
    const elections = electionsOf(eventsOf(FAILOVER), history);
    expect(elections.map(({ term, cause, from, to }) => [term, cause, from, to])).toEqual([
      [4, 'failover', 'n1', 'n3'],
      [3, 'failover', 'n2', 'n1'],
      [2, 'switchover', 'n1', 'n2'],
      [1, 'first', null, 'n1'],
    ]);
    expect(elections[1]?.phases).toEqual([
      { name: 'detect', ms: 10 },
      { name: 'choose', ms: 20 },
      { name: 'promote', ms: 80 },
      { name: 'establish', ms: 40 },
    ]);
  });

  it('prefers a complete record to events of which the last are missing', () => {
    expect(electionsOf(eventsOf(FAILOVER.slice(0, 5)), [record(4, 'n3')])[0]?.outcome).toBe('complete');
  });

  it('reports the bytes that were lost', () => {
    const lines: EventLine[] = [...FAILOVER, [1300, 'data-lost', 4, 'n3', 'lost', { lostBytes: 4096 }]];
    expect(electionsOf(eventsOf(lines))[0]?.lostBytes).toBe(4096);
  });
});
