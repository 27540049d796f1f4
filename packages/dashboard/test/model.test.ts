import { describe, expect, it } from 'vitest';
import type { MemberStatus } from '../../server/src/api/types.ts';
import { planPathOf, requestOf } from '../src/api/operation.ts';
import { SseParser } from '../src/api/sse.ts';
import { EVENTS_MAX, filterEvents, withEvents } from '../src/model/events.ts';
import { formatBytes, formatDuration, formatList, formatRate, formatShare } from '../src/model/format.ts';
import { isLagging, lsnOf, slowStageOf, stagesOf } from '../src/model/lag.ts';
import { noticesOf } from '../src/model/notices.ts';
import { previewOf } from '../src/model/preview.ts';
import { sourceOf, standingOf } from '../src/model/standing.ts';
import { eventsOf, memberOf, statusOf } from './fixtures.ts';

const LIVE = { kind: 'live' } as const;

describe('formats', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1536, '1.5 kB'],
    [24_117_248, '23 MB'],
    [5 * 2 ** 50, '5120 TB'],
  ])('%d bytes are %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text));

  it.each([
    [0.4, '0 ms'],
    [312, '312 ms'],
    [1250, '1.25 s'],
    [12_340, '12.3 s'],
    [125_000, '2 min 5 s'],
    [12_000_000, '3 h 20 min'],
    [200_000_000, '2 d 7 h'],
  ])('%d ms are %s', (ms, text) => expect(formatDuration(ms)).toBe(text));

  it('tells an unknown rate from none', () => {
    expect([null, 0, 0.25, 5, 1234.4].map(formatRate)).toEqual(['–', '0', '0.3', '5', '1,234']);
  });

  it('says 100 % only when it is all', () => {
    expect([1, 0.9996, 0.95, 0].map(formatShare)).toEqual(['100 %', '99.9 %', '95 %', '0 %']);
  });

  it('lists names', () => {
    expect([[], ['n1'], ['n1', 'n2'], ['n1', 'n2', 'n3']].map(formatList)).toEqual(['', 'n1', 'n1 and n2', 'n1, n2 and n3']);
  });
});

describe('lag', () => {
  it('reads positions past 2^53', () => {
    expect(lsnOf('FFFFFFFF/FFFFFFFF')).toBe(2n ** 64n - 1n);
    expect([lsnOf('0'), lsnOf(null), lsnOf('0/G')]).toEqual([null, null, null]);
  });

  const bytesOf = (...of: Parameters<typeof stagesOf>): (number | null)[] => stagesOf(...of).map(({ bytes }) => bytes);
  const primary = memberOf('n1', { receiveLsn: '1/00000100' });
  const seen = (sent: number, written: number, flushed: number, replayed: number) => {
    const stage = (bytes: number) => ({ bytes, ms: bytes / 1000 });
    return memberOf('n2', {
      lagBytes: replayed,
      lagStages: { sent: stage(sent), written: stage(written), flushed: stage(flushed), replayed: stage(replayed) },
    });
  };

  it('has the stages that the primary sees', () => {
    expect(stagesOf(primary, seen(0, 1000, 2000, 3000))).toEqual([
      { name: 'sent', bytes: 0, ms: 0 },
      { name: 'written', bytes: 1000, ms: 1 },
      { name: 'flushed', bytes: 2000, ms: 2 },
      { name: 'replayed', bytes: 3000, ms: 3 },
    ]);
  });

  it('has what the replica itself says where the primary sees none', () => {
    expect(bytesOf(primary, memberOf('n2', { receiveLsn: '1/00000080', replayLsn: '0/FFFFFFF0' }))).toEqual([null, 128, null, 272]);
    expect(bytesOf(primary, memberOf('n2', { receiveLsn: '1/00000200', replayLsn: '1/00000200' }))).toEqual([null, 0, null, 0]);
    expect(bytesOf(undefined, memberOf('n2'))).toEqual([null, null, null, null]);
  });

  it.each([
    [seen(0, 0, 0, 0), null],
    [seen(0, 0, 0, 30_000_000), 'replayed'],
    [seen(0, 0, 20_000_000, 30_000_000), 'flushed'],
    [seen(0, 29_000_000, 29_000_000, 30_000_000), 'written'],
    [seen(30_000_000, 30_000_000, 30_000_000, 30_000_000), 'sent'],
    [seen(0, 0, 0, 1000), null],
  ])('is worst where most of the WAL waits (%#)', (member, slow) => {
    expect(slowStageOf(stagesOf(primary, member), member)).toBe(slow);
  });
});

describe('a replica that does not simply follow the primary', () => {
  it.each([
    [{}, null],
    [{ applyDelayMs: 3_600_000 }, '1 h delayed'],
    [{ applyDelayMs: 5_400_000 }, '1 h 30 min delayed'],
    [{ cascade: { upstream: 'n2', from: 'n2' } }, 'streams from n2'],
    [{ cascade: { upstream: 'n2', from: 'n1' } }, 'streams from n1 instead of n2'],
    [{ cascade: { upstream: 'n2', from: null }, applyDelayMs: 1000 }, '1.00 s delayed · waits for n2'],
  ])('says so (%#)', (change, words) => {
    expect(standingOf(memberOf('n4', change))).toBe(words);
  });

  it('takes its WAL from whom it streams, or is to', () => {
    const from = (cascade: MemberStatus['cascade']) => sourceOf(memberOf('n4', { cascade }), statusOf());
    expect([undefined, { upstream: 'n2', from: 'n3' }, { upstream: 'n2', from: null }].map(from)).toEqual(['n1', 'n3', 'n2']);
  });

  it('lags only by more than its delay', () => {
    const behind = { lagBytes: 40_000_000, lagMs: 59_000 };
    expect(isLagging(memberOf('n4', behind))).toBe(true);
    expect(isLagging(memberOf('n4', { ...behind, applyDelayMs: 60_000 }))).toBe(false);
    expect(isLagging(memberOf('n4', { ...behind, applyDelayMs: 50_000 }))).toBe(true);
  });
});

describe('notices', () => {
  it('say that all is well in the words of the status', () => {
    expect(noticesOf(statusOf(), LIVE)).toEqual([{ tone: 'good', title: 'Healthy', text: 'n1 is the primary of term 3 with 2 replicas.' }]);
  });

  it('put the gravest first and leave none out', () => {
    const status = statusOf({
      verdict: 'degraded',
      paused: true,
      durability: { mode: 'quorum', acks: 0, cohort: [], protected: false },
      alarms: [{ member: 'n3', code: 'foreign-data', message: 'n3 holds data of another cluster.' }],
    });
    const lost = { kind: 'lost', sinceMs: 0, why: 'no connection' } as const;
    expect(noticesOf(status, lost).map(notice => [notice.tone, notice.title])).toEqual([
      ['danger', 'No contact'],
      ['danger', 'n3 needs a decision'],
      ['danger', 'Writes are not protected'],
      ['warning', 'Paused'],
      ['warning', 'Degraded'],
    ]);
  });

  it('say what waits when there is no primary', () => {
    const status = statusOf({
      verdict: 'no-primary',
      summary: 'No primary: an election is under way.',
      router: { ...statusOf().router, held: 37 },
    });
    expect(noticesOf(status, LIVE)[0]).toEqual({
      tone: 'danger',
      title: 'No primary',
      text: 'An election is under way. 37 statements held until there is one.',
    });
  });

  it('leave the names of members as they are', () => {
    const status = statusOf({ verdict: 'no-primary', summary: 'No primary: n1 leads term 3 and waits for its replicas.' });
    expect(noticesOf(status, LIVE)[0].text).toBe('n1 leads term 3 and waits for its replicas.');
  });

  it('do not shout about what was chosen', () => {
    const durability = { mode: 'async', acks: 0, cohort: [], protected: false } as const;
    expect(noticesOf(statusOf({ durability }), LIVE)[0]).toMatchObject({ tone: 'note', title: 'Async durability' });
  });

  it('tell a cluster of one from one that has lost its replicas', () => {
    const durability = { mode: 'quorum', acks: 0, cohort: [], protected: false } as const;
    expect(noticesOf(statusOf({ durability, members: [memberOf('n1', { role: 'primary' })] }), LIVE)[0].tone).toBe('warning');
    expect(noticesOf(statusOf({ durability }), LIVE)[0].tone).toBe('danger');
  });
});

describe('events', () => {
  const events = eventsOf([
    [1, 'server-exited', 3, 'n1', 'signal SIGKILL'],
    [2, 'term-raised', 4, 'n2', 'n1 is gone'],
    [3, 'router-held', 4, null, 'no primary'],
  ]);

  it('are taken once, though the stream repeats some after a reconnection', () => {
    expect(withEvents(events.slice(0, 2), events).map(event => event.id)).toEqual([1, 2, 3]);
    expect(withEvents(events, events)).toBe(events);
  });

  it('are bounded, the oldest going first', () => {
    const many = eventsOf(Array.from({ length: EVENTS_MAX + 5 }, (_, i) => [i, 'decision', null, null] as const));
    expect(withEvents([], many)).toHaveLength(EVENTS_MAX);
    expect(withEvents([], many)[0]?.id).toBe(6);
  });

  it('are found by group and by all of the words, newest first', () => {
    const ids = (group: Parameters<typeof filterEvents>[1]['group'], text: string): readonly number[] =>
      filterEvents(events, { group, text }).map(event => event.id);
    expect(ids('all', '')).toEqual([3, 2, 1]);
    expect(ids('members', '')).toEqual([1]);
    expect(ids('all', 'TERM 4')).toEqual([3, 2]);
    expect(ids('elections', 'n2 gone')).toEqual([2]);
    expect(ids('router', 'n2')).toEqual([]);
  });
});

describe('operations', () => {
  it('become requests of the API', () => {
    expect(requestOf({ kind: 'switchover', to: 'n2' })).toEqual({ method: 'POST', path: 'switchover', body: { to: 'n2' } });
    expect(requestOf({ kind: 'remove-replica', id: 'n/3' })).toEqual({ method: 'DELETE', path: 'replicas/n%2F3', body: {} });
    expect(requestOf({ kind: 'failover', acceptDataLoss: true }).body).toEqual({ acceptDataLoss: true });
    expect(requestOf({ kind: 'resume' })).toEqual({ method: 'POST', path: 'resume', body: {} });
  });

  it('are previewed by the API where the outcome depends on the cluster', () => {
    expect(planPathOf({ kind: 'switchover', to: 'n2' })).toBe('plan?kind=switchover&member=n2');
    expect(planPathOf({ kind: 'pause' })).toBe('plan?kind=pause');
  });

  it('show the plan of the API, and why it would be refused', () => {
    const refusal = { code: 'cluster-paused', message: 'Paused.', action: 'Resume.', details: {} } as const;
    const preview = previewOf({ kind: 'switchover', to: 'n2' }, { allowed: false, member: null, steps: [], refusal });
    expect(preview).toMatchObject({ title: 'Make n2 the primary', steps: [], refusal: { message: 'Paused.', action: 'Resume.' } });
  });

  it('have their name before the plan has come', () => {
    expect(previewOf({ kind: 'pause' }, null)).toMatchObject({ tone: 'danger', steps: [], refusal: null });
  });
});

describe('SseParser', () => {
  it('puts messages together from pieces of any size', () => {
    const stream =
      'retry: 1000\n\nid: 7\nevent: paused\ndata: {"a":1}\n\n: keep-alive\n\nid: 8\r\ndata: x\r\ndata:  y\r\n\r\nid: 9\ndata: cut';
    const whole = new SseParser().push(stream);
    const parser = new SseParser();
    const pieces = [...stream].flatMap(letter => parser.push(letter));
    expect(whole).toEqual([
      { id: '7', event: 'paused', data: '{"a":1}' },
      { id: '8', event: 'message', data: 'x\n y' },
    ]);
    expect(pieces).toEqual(whole);
  });

  it('refuses a message without end', () => {
    const parser = new SseParser();
    expect(() => {
      for (let i = 0; i < 20; i += 1) parser.push('data: '.padEnd(100_000, 'x'));
    }).toThrow(RangeError);
  });
});
