import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { type CapstanError, failure } from '../../../../src/errors.ts';
import { absent, blocked, gatherFacts, type Readers, reader } from '../../../../src/flow/health/gather.ts';
import { CHECKS } from '../../../../src/health/registry.ts';
import { openHost } from '../../../../src/host/host.ts';
import { noLog } from '../../../../src/host/log.ts';

/** Readers of a few facts. */
function readers(few: Partial<Readers>): Readers {
  return few as Readers;
}

const gather = (few: Partial<Readers>, host = openHost()) => gatherFacts(host, readers(few), CHECKS);

describe('gatherFacts', () => {
  test('reads side by side, each once, when what it needs is known', async () => {
    let times = 0;
    const begun = performance.now();
    const facts = await gather({
      memory: reader({
        needs: [],
        async read() {
          times += 1;
          await sleep(200);
          return 5;
        },
      }),
      names: reader({ needs: ['memory'], read: async (_, { memory }) => `it is ${memory}` }),
      caFile: reader({ needs: ['memory'], read: () => sleep(200, 'x') }),
      agent: reader({ needs: [], read: () => sleep(200, 'x') }),
    });
    expect(performance.now() - begun).toBeLessThan(550);
    expect(times).toBe(1);
    expect(facts.names).toMatchObject({ state: 'known', value: 'it is 5' });
  });

  test('what cannot be read blocks what needs it, by the code of its own fault, however far away', async () => {
    const facts = await gather({
      directory: reader({
        needs: [],
        read: async () => {
          throw failure('directory-unreachable', 'It does not run.');
        },
      }),
      caProfiles: reader({ needs: ['directory'], read: async () => 'never' }),
      caSignature: reader({ needs: ['caProfiles'], read: async () => 'never' }),
      lifetimes: reader({
        needs: [],
        wants: ['directory'],
        read: async (_, { directory }) => (directory ? [] : []),
      }),
    });
    expect(facts.directory).toMatchObject({ state: 'failed', error: { code: 'directory-unreachable' } });
    expect(facts.caProfiles).toEqual({ state: 'blocked', by: 'directory-unreachable' });
    expect(facts.caSignature).toEqual({ state: 'blocked', by: 'directory-unreachable' });
    expect(facts.lifetimes).toMatchObject({ state: 'known' });
  });

  test('a reader may say that it is kept from looking, or that there is nothing', async () => {
    const facts = await gather({
      caStatus: reader({
        needs: [],
        read: async () => {
          throw blocked('service-stopped');
        },
      }),
      agent: reader({
        needs: [],
        read: async () => {
          throw absent();
        },
      }),
      caFile: reader({
        needs: [],
        read: async () => {
          throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
        },
      }),
    });
    expect(facts.caStatus).toEqual({ state: 'blocked', by: 'service-stopped' });
    expect(facts.agent).toEqual({ state: 'absent' });
    expect(facts.caFile).toMatchObject({ state: 'failed', error: { message: 'EIO: i/o error' } });
  });

  test('each has its deadline, and what runs then is ended', async () => {
    const host = openHost(noLog, new AbortController().signal, { deadlines: { health: 1 } });
    let ended = false;
    const begun = performance.now();
    const facts = await gather(
      {
        memory: reader({
          needs: [],
          read: (bounded) => {
            bounded.signal.addEventListener('abort', () => {
              ended = true;
            });
            return new Promise<number>(() => {});
          },
        }),
      },
      host,
    );
    expect(performance.now() - begun).toBeLessThan(2000);
    expect(facts.memory).toMatchObject({ state: 'failed', error: { code: 'deadline-passed' } });
    expect(ended).toBe(true);
  });

  test('an interruption is no finding', async () => {
    const controller = new AbortController();
    const host = openHost(noLog, controller.signal);
    const asked = gather({ memory: reader({ needs: [], read: () => new Promise<number>(() => {}) }) }, host);
    controller.abort();
    const error = await asked.catch((thrown: unknown) => thrown);
    expect((error as CapstanError).exit).toBe(130);
  });
});
