import { REPLICA_STEPS, sampledReplicaFaults } from './faults/replicas.ts';
import { sampleTests } from './faults/sample.ts';

sampleTests({
  file: 'test/lab/replica-faults.test.ts',
  faults: sampledReplicaFaults(),
  steps: REPLICA_STEPS,
  // Besides the first server, which is built once: a whole replica that is killed and resumed, or two or three undone.
  budget: 150,
});
