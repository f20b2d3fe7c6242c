import { describe, expect, test } from 'vitest';
import { failure } from '../../../src/errors.ts';
import { CHECKS } from '../../../src/health/registry.ts';
import { judge } from '../../../src/health/run.ts';
import { gathered, known } from './facts.ts';

const DISK = { folder: '/var/lib/dirsrv', growing: true, files: 1000 };

describe('judge', () => {
  test('tells what is wrong, the worst first, and what holds', () => {
    const { results } = judge(
      CHECKS,
      gathered({
        room: known([{ ...DISK, bytes: 1024 }]),
        memory: known(1024),
        leftovers: known([]),
      }),
    );
    expect(results.map(({ code, result }) => [code, result])).toEqual([
      ['disk-full', 'CRITICAL'],
      ['memory-low', 'WARNING'],
      ['leftovers', 'SUCCESS'],
      ['disk-low', 'SUCCESS'],
      ['look-failed', 'SUCCESS'],
    ]);
    expect(results[0]).toMatchObject({
      key: '/var/lib/dirsrv',
      message: 'The file system of /var/lib/dirsrv has 0 MiB left.',
      seconds: 0.5,
    });
    expect(results[2]?.message).toBe('No run that was killed has left files behind.');
  });

  test('a fact that cannot be had is the fault of its gate; what needs it is passed over because of that', () => {
    const error = failure('directory-unreachable', 'It does not run.', 'Start it.');
    const { results, passedOver } = judge(
      CHECKS,
      gathered({
        directory: { state: 'failed', error, seconds: 15 },
        ldaps: { state: 'blocked', by: 'directory-unreachable' },
      }),
    );
    expect(results.map(({ code }) => code)).toEqual(['directory-unreachable', 'look-failed']);
    expect(results[0]).toMatchObject({
      code: 'directory-unreachable',
      result: 'CRITICAL',
      message: 'It does not run.',
      remedy: 'Start it.',
      seconds: 15,
    });
    const because = Object.fromEntries(passedOver.map((one) => [one.code, one.because]));
    expect(because).toMatchObject({
      'usn-plugin-off': 'directory-unreachable',
      'directory-certificate': 'directory-unreachable',
      'ca-status': undefined,
    });
  });

  test('what has no check of its own and cannot be looked at is told as well', () => {
    const error = failure('unreadable', 'EIO: i/o error');
    const { results } = judge(CHECKS, gathered({ memory: { state: 'failed', error, seconds: 0 } }));
    expect(results.map(({ code, key, message }) => [code, key, message])).toEqual([
      ['look-failed', 'memory', 'EIO: i/o error'],
    ]);
  });

  test('where everything can be looked at, that is told once', () => {
    const { results } = judge(CHECKS, gathered({ memory: known(1e12) }));
    expect(results.map(({ code, result }) => [code, result])).toEqual([
      ['memory-low', 'SUCCESS'],
      ['look-failed', 'SUCCESS'],
    ]);
  });
});
