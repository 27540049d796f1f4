import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Story } from './scenario.ts';

describe('what stalls or strikes without need elsewhere', () => {
  it('14. an agent that restarts causes no election: its PostgreSQL streams on', () => {
    const story = new Story();
    for (let i = 0; i < 5; i++) {
      story.befalls('n1', 'crash-agent', 3000);
      story.passes(6000);
    }
    expect(story.term).toBe(1);
    story.acknowledges();
  });

  it('15. a full disk leads to a failover, once', () => {
    const story = new Story();
    story.befalls('n1', 'disk-full');
    expect(story.failsOver()).toBeLessThan(4000);
    const { term } = story;
    story.passes(20_000);
    expect(story.term).toBe(term);
    story.mends();
  });

  it('15b. but no second one while the primary still answers, soon after another', () => {
    const story = new Story();
    story.befalls('n1', 'crash-host', 1500);
    story.failsOver();
    story.heals();
    const { term, primary } = story;
    story.befalls(primary, 'disk-full');
    story.passes(20_000);
    expect(story.term).toBe(term);
    expect(story.alarms).toContain('primary-failing');
    story.failsOver(60_000);
    story.mends();
  });

  it('16. a postmaster that is stopped but still accepts connections is replaced', () => {
    const story = new Story();
    story.befalls('n1', 'stop-postgres', 8000);
    expect(story.failsOver()).toBeLessThan(3000);
    story.mends();
  });

  it('16b. and so is a whole machine that stands still, which has nothing to say when it wakes', () => {
    const story = new Story();
    story.befalls('n1', 'stop-both', 8000);
    expect(story.failsOver()).toBeLessThan(3500);
    story.passes(8000);
    expect(story.server('n1').leads).toBe(false);
    story.mends();
  });

  it('17. a frozen disk leads to a failover, though the agent there still reports', () => {
    const story = new Story();
    story.befalls('n1', 'disk-frozen');
    expect(story.failsOver()).toBeLessThan(4000);
    story.mends();
  });

  it('18. a frozen agent over a PostgreSQL that is well causes none', () => {
    const story = new Story();
    story.befalls('n1', 'stop-agent', 20_000);
    for (let i = 0; i < 6; i++) {
      story.passes(3000);
      story.acknowledges();
    }
    expect(story.term).toBe(1);
  });

  it('19. a shutdown that does not end is cut off at its deadline', () => {
    const story = new Story();
    story.world.routersDrained = true;
    story.befalls('n3', 'stop-postgres');
    story.orders('switchover', 'n2');
    expect(story.failsOver()).toBeLessThan(5000);
    expect(story.state.history.at(-1)?.primary).toBe('n2');
    story.mends();
  });

  it('20. a coordinator that dies half-way is replaced by any other, from the state of the store alone', () => {
    const story = new Story({
      members: 5,
      durability: { mode: 'quorum', acks: 2, whenAlone: 'continue', acksFrom: 'any-zone', maxLossBytes: 0 },
    });
    story.befalls('n1', 'crash-host');
    story.awaits('the term is raised', () => (story.state.proposal?.term ?? 0) > 1, 5000);
    story.befalls(story.state.proposal!.by, 'crash-host');
    story.failsOver();
    story.mends();
  });

  it('20b. a winner that dies before it is promoted is replaced', () => {
    const story = new Story({
      members: 5,
      durability: { mode: 'quorum', acks: 2, whenAlone: 'continue', acksFrom: 'any-zone', maxLossBytes: 0 },
    });
    story.befalls('n1', 'crash-host');
    story.awaits('somebody is elected', () => story.term === 2, 5000);
    story.befalls(story.primary, 'crash-host');
    story.failsOver();
    story.mends();
  });

  it('20c. and so is one whose agent dies before it promotes, though replicas have connected to its server', () => {
    const story = new Story({
      members: 5,
      durability: { mode: 'quorum', acks: 2, whenAlone: 'continue', acksFrom: 'any-zone', maxLossBytes: 0 },
    });
    story.befalls('n1', 'crash-host');
    story.awaits('the term is raised', () => (story.state.proposal?.term ?? 0) > 1, 5000);
    while (story.term === 1) story.passes(0.5);
    const winner = story.primary;
    story.befalls(winner, 'crash-agent');
    story.awaits('a connection to the winner', () => story.server(winner).connections.size > 0);
    expect(story.server(winner).leads).toBe(false);
    story.failsOver();
    story.mends();
  });

  it('21. a primary and a replica that lose each other but both see the store go on after the replica timeout', () => {
    const story = new Story({ members: 2 });
    story.befalls('n1', 'cut-pair', 1e9, 'n2');
    story.awaits('the cohort is empty', () => story.state.rule?.acks === 0, 6000);
    story.acknowledges();
    expect(story.term).toBe(1);
    story.mends();
    expect(story.state.rule?.cohort).toEqual(['n2']);
  });

  it('21b. or wait, where that was chosen, and say so', () => {
    const story = new Story({
      members: 2,
      durability: { mode: 'quorum', acks: 1, whenAlone: 'block', acksFrom: 'any-zone', maxLossBytes: 0 },
    });
    story.befalls('n1', 'cut-pair', 1e9, 'n2');
    story.passes(200);
    story.acknowledgesNothing(10_000);
    expect(story.alarms).toContain('writes-blocked');
    story.mends();
  });

  it('22. an old primary that boots serves nobody', () => {
    const story = new Story();
    story.befalls('n1', 'crash-host', 6000);
    story.failsOver();
    const { primary } = story;
    for (let i = 0; i < 200; i++) {
      story.passes(50);
      expect(story.server('n1').leads).toBe(false);
    }
    expect(story.primary).toBe(primary);
    story.mends();
  });

  it('23. the open term of a demoted primary is withdrawn, so no router has a reason to stay (dropping its connections is the proxy’s part)', () => {
    const story = new Story();
    story.world.routersDrained = true;
    story.orders('switchover', 'n3');
    expect(story.failsOver()).toBeLessThan(1500);
    story.heals();
    expect(story.primary).toBe('n3');
    expect(story.world.store.reports.get('n1')?.report.openTerm).toBeNull();
    expect(story.world.store.reports.get('n3')?.report.openTerm).toBe(story.term);
  });

  it('24. forty-three seconds of partition: one side goes on, the other joins it again by itself', () => {
    const story = new Story({
      members: 5,
      durability: { mode: 'quorum', acks: 2, whenAlone: 'continue', acksFrom: 'any-zone', maxLossBytes: 0 },
    });
    story.befalls('n1', 'isolate', 43_000);
    expect(story.failsOver()).toBeLessThan(4000);
    for (let i = 0; i < 20; i++) {
      story.passes(2000);
      story.acknowledges();
    }
    story.heals();
    expect(story.primary).not.toBe('n1');
  });

  it('25. hijacked superuser probes and open control ports cannot be replayed here: the brain opens no connection, reads no clock and draws no lots', () => {
    const folder = new URL('../../src/failover/', import.meta.url);
    const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.ts'));
    const sources = names.map(name => readFileSync(new URL(name, folder), 'utf8'));
    expect(sources.length).toBeGreaterThan(10);
    for (const source of sources) expect(source).not.toMatch(/from 'node:|\bDate\b|Math\.random|setTimeout|Promise<|process\.|fetch\(/);
  });

  it('a refused switchover touches nobody', () => {
    const story = new Story();
    story.befalls('n2', 'stop-agent', 10_000);
    story.passes(1500);
    story.orders('switchover', 'n2');
    story.awaits('it is refused', () => story.state.intent === null, 2000);
    expect([story.term, story.server('n1').leads, story.server('n1').shuttingDown]).toEqual([1, true, false]);
  });

  it('a pause holds everything back, and its end lets it go', () => {
    const story = new Story();
    story.befalls('n1', 'pause', 10_000);
    story.passes(1000);
    story.befalls('n1', 'crash-host', 20_000);
    story.passes(8000);
    expect(story.term).toBe(1);
    story.failsOver(15_000);
    story.mends();
  });
});
