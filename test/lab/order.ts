/** In which order the lab's test files are run: two at a time, and what takes long must not be left for the end. */
import { basename } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Those that begin first: the one that builds what others begin with, then those that take long. */
const FIRST = [
  'kra.test.ts',
  'server-install.test.ts',
  'playbooks.test.ts',
  'replica.test.ts',
  'replica-faults.test.ts',
  'health.test.ts',
  'network-hsm.test.ts',
];

/** Vitest's own order, but for the files of the lab that are named above. */
export class LabOrder extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.toSorted((one, other) => {
      const sameProject = one.project.name === other.project.name;
      return sameProject && one.project.name === 'lab' ? rank(one) - rank(other) : 0;
    });
  }
}

function rank({ moduleId }: TestSpecification): number {
  const place = FIRST.indexOf(basename(moduleId));
  return place < 0 ? FIRST.length : place;
}
