import { sampledFaults, USUAL_STEPS } from './faults/catalog.ts';
import { sampleTests } from './faults/sample.ts';

sampleTests({
  file: 'test/lab/faults.test.ts',
  faults: sampledFaults(),
  steps: USUAL_STEPS,
  // With the hosts that are booted it stays below 8 minutes.
  budget: 400,
});
