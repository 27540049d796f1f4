import { describe, expect, it } from 'vitest';
import { drawFaults, healAll, planFaults } from './faults.ts';
import { AnyMemberHoldsAll, type Mutation } from './mutations.ts';
import { Random } from './random.ts';
import { Story } from './scenario.ts';

const SEEDS = 300;
const FAULTS_MS = 5000;

/** A standby cluster of three whose leader alone holds what it received last: the others are cut off from it. */
function ledAhead(mutation?: Mutation): Story {
  const story = new Story({ standby: true, ...(mutation ? { mutation } : {}) });
  for (const other of ['n2', 'n3']) story.befalls('n1', 'cut-pair', 1e9, other);
  story.awaits('three replicas', () => ['n1', 'n2', 'n3'].every(id => story.server(id).process === 'up'), 5000);
  return story;
}

describe('a standby cluster', () => {
  it('promotes nobody and acknowledges nothing by itself, and its members follow the leader', () => {
    const story = new Story({ standby: true });
    story.passes(5000);
    expect([story.term, story.primary]).toEqual([1, 'n1']);
    expect(['n1', 'n2', 'n3'].map(id => story.server(id).role)).toEqual(['replica', 'replica', 'replica']);
    expect(['n2', 'n3'].map(id => story.server(id).wal.length)).toEqual([8, 8]);
    expect(story.world.checks.acknowledgements).toBe(0);
  });

  it('is promoted to a cluster whose commits are protected, with all that its leader has received', () => {
    const story = ledAhead();
    story.world.promote();
    story.passes(500);
    story.mends();
    expect(story.isOpen).toBe(true);
    expect(story.primary).toBe('n1');
    expect(story.state.rule!.timeline).toBeGreaterThan(10);
    story.acknowledges();
  });

  it('elects nobody in the place of a leader that dies in the middle, and goes on when that is back', () => {
    const story = ledAhead();
    story.world.promote();
    story.befalls('n1', 'crash-host');
    story.passes(8000);
    expect(story.world.leader).toBeNull();
    expect(story.alarms).toContain('needs-accept-data-loss');
    story.mends();
    story.acknowledges();
  });

  it('would lose what only that leader held, were any member taken for one that holds all', () => {
    const story = ledAhead(new AnyMemberHoldsAll());
    story.world.promote();
    story.befalls('n1', 'crash-host');
    expect(() => story.passes(8000)).toThrow('S4');
  });

  it(`is promoted under ${SEEDS} rows of faults, and no invariant is broken`, () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const random = new Random(seed, 0);
      const members = random.pick([2, 3, 3, 5]);
      const story = new Story({ seed, members, standby: true });
      story.awaits('replicas', () => [...story.world.servers.values()].every(server => server.process === 'up'), 5000);
      story.passes(random.between(0, 300));
      planFaults(story.world, drawFaults(random, members, FAULTS_MS), story.world.now);
      story.world.promote();
      story.passes(FAULTS_MS + 3000);
      healAll(story.world);
      expect(
        story.world.runUntil(() => story.world.illness() === null, 60_000),
        `seed ${seed}: ${story.world.illness()}`,
      ).toBe(true);
      story.acknowledges();
      story.world.checks.atEnd();
    }
  });
});
