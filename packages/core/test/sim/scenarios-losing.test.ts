import { describe, expect, it } from 'vitest';
import { Story } from './scenario.ts';

const ASYNC = { mode: 'async', acks: 1, whenAlone: 'continue', acksFrom: 'any-zone', maxLossBytes: 10_000 } as const;

describe('what loses data elsewhere', () => {
  it('1. an asynchronous failover loses no more than its bound, and says how much to the byte', () => {
    const story = new Story({ durability: ASYNC });
    story.befalls('n1', 'cut-pair', 1e9, 'n2');
    story.befalls('n1', 'cut-pair', 1e9, 'n3');
    story.passes(1000);
    story.befalls('n1', 'crash-both');
    story.failsOver();
    const forkLsn = story.world.leader!.history.at(-1)!.endLsn;
    const lost = Number(story.server('n1').lsnAt(story.server('n1').flushed) - forkLsn);
    expect(lost).toBeGreaterThan(0);
    story.mends();
    expect(story.state.history.find(record => record.term === 2)?.lostBytes).toBe(lost);
  });

  it('1b. beyond the bound nobody is elected, and the decision that a person must take is named', () => {
    const story = new Story({ durability: { ...ASYNC, maxLossBytes: 500 } });
    story.befalls('n1', 'cut-pair', 1e9, 'n2');
    story.befalls('n1', 'cut-pair', 1e9, 'n3');
    story.passes(2000);
    story.befalls('n1', 'crash-host');
    story.passes(8000);
    expect(story.term).toBe(1);
    expect(story.alarms).toContain('needs-accept-data-loss');
    story.orders('failover', null, true);
    story.failsOver();
    story.mends();
  });

  it('2. a commit whose wait for replicas was cancelled is not acknowledged, and may be lost', () => {
    const story = new Story();
    story.befalls('n1', 'cut-pair', 1e9, 'n2');
    story.befalls('n1', 'cut-pair', 1e9, 'n3');
    const write = story.writes('n1');
    story.passes(500);
    story.server('n1').waiting = [];
    story.befalls('n1', 'crash-host');
    story.failsOver();
    expect(write.acknowledged).toBe(false);
    story.mends();
  });

  it('3. a primary that restarts while commits wait shows nothing before its replicas hold it', () => {
    const story = new Story({ members: 2 });
    story.befalls('n2', 'stop-both');
    story.passes(1200);
    const write = story.writes('n1');
    story.befalls('n1', 'crash-postgres');
    story.awaits('n1 runs again', () => story.server('n1').leads, 5000);
    expect([story.term, story.state.rule?.acks]).toEqual([1, 1]);
    expect(story.agent('n1').open?.confirmed ?? false).toBe(false);
    expect(write.acknowledged).toBe(false);
    story.mends();
  });

  it('4. an isolated primary acknowledges nothing more, without any clock', () => {
    const story = new Story();
    story.befalls('n1', 'isolate');
    expect(story.failsOver()).toBeLessThan(4000);
    const write = story.writes('n1');
    story.passes(5000);
    expect(write.acknowledged).toBe(false);
    expect(story.server('n1').leads).toBe(true);
    story.mends();
    expect(story.server('n1').leads).toBe(false);
  });

  it('5. a returning old primary is fenced before it is anything else, and never called open', () => {
    const story = new Story();
    story.befalls('n1', 'isolate');
    story.failsOver();
    story.world.network.healAll();
    story.awaits('n1 is fenced', () => !story.server('n1').leads, 2000);
    expect(story.world.store.reports.get('n1')?.report.openTerm ?? 1).toBeLessThan(story.term);
    story.mends();
  });

  it('6. after staggered restarts the stale replica is not promoted', () => {
    const story = new Story({ durability: { mode: 'quorum', acks: 1, whenAlone: 'block', acksFrom: 'any-zone', maxLossBytes: 0 } });
    story.befalls('n3', 'crash-both');
    story.awaits('the cohort is n2 alone', () => story.state.rule?.cohort.join() === 'n2' && story.world.leader!.namesInForce(), 10_000);
    story.acknowledges();
    story.befalls('n1', 'crash-both');
    story.befalls('n2', 'crash-both');
    story.agent('n3').start();
    story.passes(10_000);
    expect([story.term, story.server('n3').leads]).toEqual([1, false]);
    story.agent('n2').start();
    story.failsOver();
    expect(story.primary).toBe('n2');
    story.mends();
  });

  it('7. a half-cloned member is never elected', () => {
    const story = new Story({ members: 2, fromScratch: true });
    story.awaits('n2 clones', () => story.server('n2').data === 'partial');
    story.befalls('n1', 'crash-host');
    story.passes(10_000);
    expect([story.primary, story.server('n2').leads]).toEqual(['n1', false]);
    expect(story.alarms).toContain('needs-accept-data-loss');
    story.mends();
  });

  it('8. a restarted replica that still replays does not understate what it holds', () => {
    for (let seed = 0; seed < 30; seed++) {
      const story = new Story({ seed });
      story.befalls('n2', 'cut-pair', 1e9, 'n1');
      story.passes(500);
      story.befalls('n3', 'crash-postgres');
      story.befalls('n1', 'crash-host', 3000);
      story.failsOver(20_000);
      story.mends();
    }
  });

  it('9. the WAL switch of a clean shutdown keeps nobody from taking over', () => {
    const story = new Story();
    story.befalls('n1', 'crash-agent');
    story.server('n1').shutdown(3000);
    story.awaits('n1 is down', () => story.server('n1').process === 'down', 4000);
    story.failsOver();
    story.mends();
  });

  it('9b. not even when no replica has received it', () => {
    const story = new Story();
    story.befalls('n1', 'isolate');
    story.server('n1').shutdown(500);
    story.failsOver();
    story.mends();
    expect(story.primary).not.toBe('n1');
  });

  it('10. a rewind that misses WAL ends in a clone', () => {
    const story = new Story();
    story.world.rewindFailure = 1;
    story.befalls('n1', 'isolate');
    story.failsOver();
    story.mends();
    expect(story.server('n1').wal.length).toBeGreaterThan(0);
  });

  it('11. no timeline is given out twice, even to winners that never met', () => {
    const story = new Story({
      members: 5,
      durability: { mode: 'quorum', acks: 2, whenAlone: 'continue', acksFrom: 'any-zone', maxLossBytes: 0 },
    });
    for (let i = 0; i < 4; i++) {
      story.befalls(story.primary, 'crash-host', 2500);
      story.failsOver(20_000);
    }
    const timelines = story.state.history.map(record => record.timeline);
    expect(timelines).toEqual([...new Set(timelines)].sort((a, b) => a - b));
    story.mends();
  });

  it('12. every member keeps a slot for every other, before and after a failover (the copies of logical slots are PostgreSQL’s own)', () => {
    const story = new Story();
    const slots = (): readonly string[] => [...story.world.agents.values()].map(agent => agent.slots.join());
    const all = ['understudy_n2,understudy_n3', 'understudy_n1,understudy_n3', 'understudy_n1,understudy_n2'];
    expect(slots()).toEqual(all);
    story.befalls('n1', 'crash-host', 2000);
    story.failsOver();
    story.mends();
    story.passes(300);
    expect(slots()).toEqual(all);
  });

  it('13. a store that is down demotes nobody', () => {
    const story = new Story();
    story.befalls('n1', 'store-down', 30_000);
    for (let i = 0; i < 10; i++) {
      story.passes(2500);
      story.acknowledges();
    }
    story.passes(10_000);
    expect([story.term, story.primary]).toEqual([1, 'n1']);
  });
});
