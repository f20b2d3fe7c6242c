import { defineConfig } from 'vitest/config';

const MINUTE = 60_000;

/**
 * Three projects, by what a test needs: nothing, one real daemon or token, or a whole lab.
 * Lab files share one machine's memory and ports of the lab, so they run one after another.
 */
export default defineConfig({
  test: {
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'], testTimeout: 20_000 } },
      {
        test: {
          name: 'component',
          include: ['test/component/**/*.test.ts'],
          testTimeout: 2 * MINUTE,
          hookTimeout: 10 * MINUTE,
        },
      },
      {
        test: {
          name: 'lab',
          include: ['test/lab/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 20 * MINUTE,
          hookTimeout: 30 * MINUTE,
        },
      },
    ],
  },
});
