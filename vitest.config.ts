import { defineConfig } from 'vitest/config';

/** Workspace packages resolve to their sources, so that a test never runs yesterday's build. */
const source = { resolve: { conditions: ['source'] }, ssr: { resolve: { conditions: ['source'] } } };

/**
 * `files`: of all, one a core at a time (vitest by itself leaves one core out, so on two cores there would be one); of clusters, two. `order`: projects of
 * one run that have the same are run together, the others one after the other.
 */
interface Files {
  readonly files: keyof typeof WORKERS;
  readonly order: number;
}

const WORKERS = { together: '100%', two: 2, 'one-by-one': 1 } as const;

const project = (name: string, include: string[], testTimeout: number, { files, order }: Files = { files: 'together', order: 0 }) => ({
  ...source,
  test: {
    name,
    include,
    testTimeout,
    hookTimeout: testTimeout,
    pool: 'forks' as const,
    maxWorkers: WORKERS[files],
    sequence: { groupOrder: order },
  },
});

/** What fails over under load, and what needs a machine for itself. */
const SERIAL = ['test/e2e/failover.test.ts', 'test/e2e/second-failure.test.ts', 'test/e2e/pgbench.test.ts'];

export default defineConfig({
  test: {
    projects: [
      project(
        'unit',
        [
          'packages/*/test/**/*.test.ts',
          'bench/test/**/*.test.ts',
          'examples/*/test/**/*.test.ts',
          '!packages/*/test/integration/**',
          '!packages/core/test/sim/**',
        ],
        30_000,
      ),
      // Run by `npm run clients`: it installs the drivers first.
      project('clients', ['test/clients/*.test.ts'], 240_000),
      project('sim', ['packages/core/test/sim/**/*.test.ts'], 600_000),
      // Each file has servers of its own, which wait more than they work.
      project('integration', ['packages/*/test/integration/**/*.test.ts'], 120_000),
      // A cluster starts, waits and stops more than it works.
      project(
        'e2e',
        ['test/e2e/**/*.test.ts', 'test/browser/**/*.test.ts', 'test/clients/*.test.ts', ...SERIAL.map(file => `!${file}`)],
        240_000,
        { files: 'two', order: 1 },
      ),
      project(
        'e2e-serial',
        [...SERIAL, 'test/chaos/**/*.test.ts', 'test/consistency/**/*.test.ts', 'test/machines/**/*.test.ts'],
        240_000,
        { files: 'one-by-one', order: 2 },
      ),
    ],
  },
});
