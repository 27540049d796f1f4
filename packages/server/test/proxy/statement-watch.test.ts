import { describe, expect, it } from 'vitest';
import { SAMPLE_LIMIT, StatementWatch } from '../../src/proxy/statement-watch.ts';

const answered = (text: string) => ({
  fingerprint: Buffer.from(text),
  kind: 'read' as const,
  member: 'n2',
  reason: 'fresh',
  waitMs: 0,
  runMs: 1,
  endedAtMs: 5,
});

describe('StatementWatch', () => {
  it('gives what was noted since the last look, once', () => {
    const watch = new StatementWatch();
    watch.setActive(true);
    watch.note(answered('select ?'));
    expect(watch.take(5)).toEqual({
      atMs: 5,
      seen: 1,
      statements: [{ text: 'select ?', kind: 'read', member: 'n2', reason: 'fresh', waitMs: 0, runMs: 1, endedAtMs: 5 }],
    });
    expect(watch.take(6)).toBeNull();
  });

  it('keeps a bounded sample in which each statement has the same chance', () => {
    let state = 7;
    const watch = new StatementWatch(() => (state = (state * 16_807) % 2_147_483_647) / 2_147_483_647);
    const counts = [0, 0, 0, 0];
    for (let round = 0; round < 200; round++) {
      watch.setActive(true);
      for (let i = 0; i < 400; i++) watch.note(answered(String(Math.floor(i / 100))));
      const sample = watch.take(0)!;
      expect(sample.statements).toHaveLength(SAMPLE_LIMIT);
      expect(sample.seen).toBe(400);
      for (const { text } of sample.statements) counts[Number(text)]! += 1;
    }
    // 2000 of each quarter are expected; without the lottery it would be 8000 of one.
    for (const count of counts) expect(count).toBeGreaterThan(1700);
  });

  it('cuts long texts, and forgets all when nobody looks', () => {
    const watch = new StatementWatch();
    watch.setActive(true);
    watch.note(answered('x'.repeat(5000)));
    expect(watch.take(0)!.statements[0]!.text).toHaveLength(401);
    watch.note(answered('select ?'));
    watch.setActive(false);
    expect(watch.take(0)).toBeNull();
  });
});
