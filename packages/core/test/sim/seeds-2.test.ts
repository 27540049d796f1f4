import { expect, it } from 'vitest';
import { seedsHold } from './seeds.ts';

// Two files, so that two processes share the work.
it('5,000 clusters under faults break no invariant', () => {
  const { elections, acknowledgements } = seedsHold(5001, 5000);
  expect(elections).toBeGreaterThan(2000);
  expect(acknowledgements).toBeGreaterThan(100_000);
});
