import { defineConfig } from 'vitest/config';

/** Workspace packages resolve to their sources, so that a test never runs yesterday's build. */
const source = { resolve: { conditions: ['source'] }, ssr: { resolve: { conditions: ['source'] } } };

const project = (name: string, include: string[], testTimeout: number) => ({
  ...source,
  test: { name, include, testTimeout, hookTimeout: testTimeout, pool: 'forks' as const },
});

export default defineConfig({
  test: {
    projects: [
      project(
        'unit',
        ['packages/*/test/**/*.test.ts', 'bench/test/**/*.test.ts', '!packages/*/test/integration/**', '!packages/core/test/sim/**'],
        30_000,
      ),
      project('sim', ['packages/core/test/sim/**/*.test.ts'], 600_000),
      {
        ...project('integration', ['packages/*/test/integration/**/*.test.ts'], 120_000),
        test: { ...project('integration', ['packages/*/test/integration/**/*.test.ts'], 120_000).test, fileParallelism: false },
      },
      {
        ...project(
          'e2e',
          ['test/e2e/**/*.test.ts', 'test/chaos/**/*.test.ts', 'test/machines/**/*.test.ts', 'test/browser/**/*.test.ts'],
          240_000,
        ),
        test: {
          ...project(
            'e2e',
            ['test/e2e/**/*.test.ts', 'test/chaos/**/*.test.ts', 'test/machines/**/*.test.ts', 'test/browser/**/*.test.ts'],
            240_000,
          ).test,
          fileParallelism: false,
        },
      },
    ],
  },
});
