import { sampledKraFaults } from './faults/kra.ts';
import { REPLICA_STEPS, sampledReplicaFaults } from './faults/replicas.ts';
import { sampleTests } from './faults/sample.ts';

sampleTests({
  file: 'test/lab/replica-faults.test.ts',
  draws: [
    // Besides the first server, which is built once: a whole replica that is killed and resumed, or two or three undone.
    { faults: sampledReplicaFaults(), budget: 150 },
    // On that server: one KRA, that is taken back after any of its steps or goes on; there is no room for two.
    { faults: sampledKraFaults(), budget: 190 },
  ],
  steps: REPLICA_STEPS,
});
