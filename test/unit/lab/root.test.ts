import { expect, test } from 'vitest';
import { rootKey, rootPath } from '../../../src/lab/root.ts';
import { HOST_ROOT, TOOLCHAIN_ROOT } from '../../../src/lab/settings.ts';

test('another package or another suite is another image; the order of the packages is not', () => {
  const key = rootKey(HOST_ROOT);
  expect(rootKey({ ...HOST_ROOT, packages: [...HOST_ROOT.packages, 'vim'] })).not.toBe(key);
  expect(rootKey({ ...HOST_ROOT, suite: 'bookworm' })).not.toBe(key);
  expect(rootKey({ ...HOST_ROOT, updates: [] })).not.toBe(key);
  expect(rootKey({ ...HOST_ROOT, packages: [...HOST_ROOT.packages].reverse() })).toBe(key);
});

test('images lie side by side', () => {
  expect(rootPath(HOST_ROOT)).not.toBe(rootPath(TOOLCHAIN_ROOT));
});
