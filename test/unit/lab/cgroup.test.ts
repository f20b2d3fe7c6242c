import { expect, test } from 'vitest';
import { cgroupMounts } from '../../../src/lab/cgroup.ts';

const TMPFS = '30 24 0:26 / /sys/fs/cgroup rw,relatime shared:5 - tmpfs tmpfs rw,mode=755';

test('a machine with cgroup v1 has a hierarchy for each controller, and the unified one', () => {
  const mountinfo = `${TMPFS}
31 30 0:27 / /sys/fs/cgroup/cpu rw,relatime shared:6 - cgroup cgroup rw,cpu
32 30 0:28 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
33 30 0:29 / /sys/fs/cgroup/unified rw,relatime shared:7 master:1 - cgroup2 cgroup2 rw
`;
  expect(cgroupMounts(mountinfo)).toEqual([
    '/sys/fs/cgroup/cpu',
    '/sys/fs/cgroup/systemd',
    '/sys/fs/cgroup/unified',
  ]);
});

test('a machine with cgroup v2 alone has one', () => {
  const mountinfo = '30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n';
  expect(cgroupMounts(mountinfo)).toEqual(['/sys/fs/cgroup']);
});
