import { defineConfig } from 'vitest/config';

/** Workspace packages resolve to their sources, so that a test never runs yesterday's build. */
const source = { resolve: { conditions: ['source'] }, ssr: { resolve: { conditions: ['source'] } } };

const project = (name: string, include: string[], testTimeout: number, files: 'together' | 'one-by-one' = 'together') => ({
  ...source,
  test: { name, include, testTimeout, hookTimeout: testTimeout, pool: 'forks' as const, fileParallelism: files === 'together' },
});

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
      project(
        'e2e',
        [
          'test/e2e/**/*.test.ts',
          'test/chaos/**/*.test.ts',
          'test/consistency/**/*.test.ts',
          'test/machines/**/*.test.ts',
          'test/browser/**/*.test.ts',
          'test/clients/*.test.ts',
        ],
        240_000,
        'one-by-one',
      ),
    ],
  },
});
