import { sampledFaults, USUAL_STEPS } from './faults/catalog.ts';
import { sampleTests } from './faults/sample.ts';

sampleTests({
  file: 'test/lab/faults.test.ts',
  // With the hosts that are booted it stays below 8 minutes.
  draws: [{ faults: sampledFaults(), budget: 400 }],
  steps: USUAL_STEPS,
});
