import { defineConfig } from 'vitest/config';
import { LabOrder } from './test/lab/order.ts';

const MINUTE = 60_000;

/**
 * Three projects, by what a test needs: nothing, one real daemon or token, or a whole lab.
 * Each lab file boots a lab of its own; more than two at once would only wait for each other's processors.
 */
export default defineConfig({
  test: {
    sequence: { sequencer: LabOrder },
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
          globalSetup: ['test/lab/shelf.ts'],
          maxWorkers: 2,
          testTimeout: 20 * MINUTE,
          hookTimeout: 30 * MINUTE,
        },
      },
    ],
  },
});
