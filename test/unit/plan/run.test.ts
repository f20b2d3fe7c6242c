import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CapstanError, failure } from '../../../src/errors.ts';
import {
  createJournal,
  isUnfinished,
  type Journal,
  type JournalFile,
  readJournal,
  type StepState,
} from '../../../src/plan/journal.ts';
import { runSteps, undoSteps } from '../../../src/plan/run.ts';
import type { PlanEvent, Step, StepReport } from '../../../src/plan/step.ts';

let folder: string;
let path: string;
let journal: JournalFile;
let told: PlanEvent[];
/** What the steps did, in order. */
let deeds: string[];
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'capstan-plan-'));
  path = join(folder, 'journal.json');
  journal = await createJournal(path, { flow: 'rehearsal', capstan: '0', runs: ['first'], site: {} });
  told = [];
  deeds = [];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const listen = (event: PlanEvent) => told.push(event);
const heard = () => told.map((event) => ('id' in event ? `${event.type} ${event.id}` : event.type));
const onDisk = (): Journal => JSON.parse(readFileSync(path, 'utf8'));
const stateOnDisk = (id: string) => onDisk().steps.find((step) => step.id === id)?.state;

/** A step that writes down what is done to it. */
function step(id: string, more: Partial<Step> = {}): Step {
  return {
    id,
    title: `Step ${id}`,
    done: async () => false,
    apply: async () => void deeds.push(`apply ${id}`),
    undo: async () => void deeds.push(`undo ${id}`),
    ...more,
  };
}

const run = (steps: Step[], signal = new AbortController().signal) =>
  runSteps(steps, { journal, listen, signal });

describe('runSteps', () => {
  it('takes the steps in order, tells of each, and ends the journal', async () => {
    await run([step('one'), step('two')]);
    expect(deeds).toEqual(['apply one', 'apply two']);
    expect(heard()).toEqual([
      'step-started one',
      'step-finished one',
      'step-started two',
      'step-finished two',
    ]);
    expect(onDisk()).toMatchObject({
      finished: expect.stringMatching(/Z$/),
      steps: [
        { id: 'one', state: 'done' },
        { id: 'two', state: 'done' },
      ],
    });
  });

  it('has a step on disk before it changes anything', async () => {
    let before: string | undefined;
    const look = async () => {
      before = stateOnDisk('one');
    };
    await run([step('one', { apply: look })]);
    expect(before).toBe('applying');
    expect(stateOnDisk('one')).toBe('done');
  });

  it('leaves alone what is so already, and out of the journal, because it is not ours to undo', async () => {
    await run([step('one', { done: async () => true }), step('two')]);
    expect(deeds).toEqual(['apply two']);
    expect(told).toContainEqual(
      expect.objectContaining({ type: 'step-finished', id: 'one', changed: false }),
    );
    expect(onDisk().steps.map(({ id }) => id)).toEqual(['two']);
  });

  it('stops at a step that fails, which stays on record as begun', async () => {
    const error = failure('broken', 'It broke.');
    const apply = () => Promise.reject(error);
    await expect(run([step('one'), step('two', { apply }), step('three')])).rejects.toBe(error);
    expect(deeds).toEqual(['apply one']);
    expect(stateOnDisk('two')).toBe('applying');
    expect(onDisk()).not.toHaveProperty('finished');
    expect(onDisk().failure).toMatchObject({ step: 'two', code: 'broken', message: 'It broke.' });
    expect(told.slice(-2)).toMatchObject([
      { type: 'step-failed', id: 'two', code: 'broken', message: 'It broke.' },
      { type: 'stopped', id: 'two', done: ['Step one'], undo: ['Step two', 'Step one'] },
    ]);
  });

  it('has what a step changed on disk before it says so', async () => {
    const states: unknown[] = [];
    const settle = async () => states.push(stateOnDisk('one'));
    await runSteps([step('one')], { journal, listen, signal: new AbortController().signal, settle });
    expect(states).toEqual(['applying']);
    expect(stateOnDisk('one')).toBe('done');
  });

  it('tells a full disk as one', async () => {
    const apply = () => Promise.reject(Object.assign(new Error('no'), { code: 'ENOSPC', path: '/var/x' }));
    await expect(run([step('one', { apply })])).rejects.toMatchObject({
      code: 'disk-full',
      message: expect.stringContaining('/var/x'),
    });
  });

  it('names what it does not expect, with the cause', async () => {
    const cause = new TypeError('x is undefined');
    await expect(run([step('one', { done: () => Promise.reject(cause) })])).rejects.toMatchObject({
      code: 'unexpected',
      exit: 1,
      cause,
    });
    expect(onDisk().steps).toEqual([]);
  });

  it('takes no further step once it is interrupted', async () => {
    const controller = new AbortController();
    const apply = async () => controller.abort();
    const steps = [step('one', { apply }), step('two')];
    await expect(run(steps, controller.signal)).rejects.toMatchObject({ code: 'interrupted', exit: 130 });
    expect(deeds).toEqual([]);
    expect(stateOnDisk('one')).toBe('done');
    expect(onDisk().finished).toBeUndefined();
  });

  it('keeps on disk what a step remembers, and gives it back to a later run', async () => {
    let seen: unknown;
    const apply = async (report: StepReport) => {
      await report.remember({ ids: ['a'] });
      await report.remember({ started: true });
      seen = onDisk().steps[0]?.facts;
      report.line('working');
      throw failure('broken', 'It broke.');
    };
    await expect(run([step('one', { apply })])).rejects.toMatchObject({ code: 'broken' });
    expect(seen).toEqual({ ids: ['a'], started: true });
    expect(told).toContainEqual({ type: 'step-line', id: 'one', line: 'working' });

    // What a new process finds.
    journal = (await readJournal(path)) ?? journal;
    let again: unknown;
    await run([
      step('one', {
        apply: async ({ facts }) => {
          again = facts;
        },
      }),
    ]);
    expect(again).toEqual({ ids: ['a'], started: true });
    expect(onDisk().steps).toMatchObject([
      { id: 'one', state: 'done', facts: { ids: ['a'], started: true } },
    ]);
  });
});

describe('a run after one that was killed', () => {
  /** The journal as a killed run left it. */
  const killed = async (states: Record<string, StepState>) => {
    for (const [id, state] of Object.entries(states)) {
      await journal.record(id, 'applying');
      await journal.remember(id, { from: 'the killed run' });
      await journal.record(id, state);
    }
    journal = (await readJournal(path)) ?? journal;
    await journal.resume('second');
  };

  it('trusts what is done, takes back what was begun, and goes on', async () => {
    await killed({ one: 'done', two: 'applying' });
    let seen: unknown;
    const undo = async (report: StepReport) => {
      deeds.push('undo two');
      seen = [report.facts, stateOnDisk('two')];
    };
    await run([step('one'), step('two', { undo }), step('three')]);
    expect(deeds).toEqual(['undo two', 'apply two', 'apply three']);
    expect(seen).toEqual([{ from: 'the killed run' }, 'undoing']);
    expect(onDisk()).toMatchObject({ runs: ['first', 'second'], finished: expect.any(String) });
  });

  it('keeps what was begun as its own to undo, although nothing is left to do', async () => {
    await killed({ one: 'undoing' });
    await run([step('one', { done: async () => true })]);
    expect(deeds).toEqual(['undo one']);
    expect(stateOnDisk('one')).toBe('done');
  });

  it('forgets an earlier failure', async () => {
    await journal.fail({ step: 'one', code: 'broken', message: 'It broke.' });
    await killed({});
    expect(onDisk()).not.toHaveProperty('failure');
  });
});

describe('undoSteps', () => {
  const undo = (steps: Step[], signal = new AbortController().signal) =>
    undoSteps(steps, { journal, listen, run: 'undoing', signal });
  const broken = () => Promise.reject(failure('broken', 'It broke.'));

  it('takes back the last step first, the one that failed among them, and removes the journal', async () => {
    const steps = [step('one'), step('two'), step('three', { apply: broken }), step('four')];
    await run(steps).catch(() => {});
    told = [];
    deeds = [];
    expect(await undo(steps)).toEqual([]);
    expect(deeds).toEqual(['undo three', 'undo two', 'undo one']);
    expect(heard().slice(0, 2)).toEqual(['undo-started three', 'undo-finished three']);
    expect(existsSync(path)).toBe(false);
  });

  it('leaves alone what was so before', async () => {
    const steps = [step('one', { done: async () => true }), step('two')];
    await run(steps);
    deeds = [];
    await undo(steps);
    expect(deeds).toEqual(['undo two']);
  });

  it('goes on after a failure, keeps the journal, and later takes back only what is left', async () => {
    const sound = [step('one'), step('two'), step('three')];
    await run(sound);
    deeds = [];
    const steps = [step('one'), step('two', { undo: broken }), step('three')];
    expect(await undo(steps)).toMatchObject([{ code: 'broken' }]);
    expect(deeds).toEqual(['undo three', 'undo one']);
    expect(told.at(-3)).toMatchObject({
      type: 'undo-failed',
      id: 'two',
      code: 'broken',
      message: 'It broke.',
    });
    expect(onDisk().steps.map(({ state }) => state)).toEqual(['undone', 'undoing', 'undone']);
    expect(onDisk()).toMatchObject({ removing: expect.any(String), runs: ['first', 'undoing'] });
    expect(isUnfinished(journal)).toBe(true);

    journal = (await readJournal(path)) ?? journal;
    deeds = [];
    expect(await undo(sound)).toEqual([]);
    expect(deeds).toEqual(['undo two']);
    expect(existsSync(path)).toBe(false);
  });

  it('stops where it is interrupted, and goes on from there later', async () => {
    const sound = [step('one'), step('two')];
    await run(sound);
    deeds = [];
    const interrupted = new CapstanError({ code: 'command-interrupted', message: 'Stopped.', exit: 130 });
    await expect(undo([step('one'), step('two', { undo: () => Promise.reject(interrupted) })])).rejects.toBe(
      interrupted,
    );
    expect(deeds).toEqual([]);
    expect(told.at(-1)).toMatchObject({ type: 'undo-failed', id: 'two' });
    await undo(sound);
    expect(deeds).toEqual(['undo two', 'undo one']);
  });

  it('is not kept from it by a disk that is full', async () => {
    const steps = [step('one'), step('two')];
    await run(steps);
    deeds = [];
    const full = () => Promise.reject(Object.assign(new Error('no space'), { code: 'ENOSPC' }));
    const onFullDisk = { ...journal, removal: full, record: full };
    const { signal } = new AbortController();
    expect(await undoSteps(steps, { journal: onFullDisk, listen, run: 'undoing', signal })).toEqual([]);
    expect(deeds).toEqual(['undo two', 'undo one']);
    expect(existsSync(path)).toBe(false);
  });

  it('begins no further step once it is interrupted', async () => {
    const controller = new AbortController();
    const steps = [step('one'), step('two', { undo: async () => controller.abort() })];
    await run(steps);
    deeds = [];
    await expect(undo(steps, controller.signal)).rejects.toMatchObject({ code: 'interrupted' });
    expect(deeds).toEqual([]);
    expect(stateOnDisk('two')).toBe('undone');
  });

  it('gives an undo what its step remembered', async () => {
    let seen: unknown;
    const steps = [
      step('one', {
        apply: ({ remember }) => remember({ objects: ['id 1'] }),
        undo: async ({ facts }) => {
          seen = facts;
        },
      }),
    ];
    await run(steps);
    await undo(steps);
    expect(seen).toEqual({ objects: ['id 1'] });
  });
});

describe('a flow that waits in its middle', () => {
  const signal = new AbortController().signal;

  it('says so on disk after the steps before the wait, and is unfinished', async () => {
    await runSteps([step('one')], { journal, listen, signal, waits: true });
    expect(onDisk().waiting).toMatch(/^\d{4}-/);
    expect(onDisk().finished).toBeUndefined();
    expect(isUnfinished(journal)).toBe(true);
  });

  it('waits no more when a run goes on, and waits again when that is taken back', async () => {
    await runSteps([step('one')], { journal, listen, signal, waits: true });
    const since = onDisk().waiting;
    await journal.resume('second');
    expect(onDisk().waiting).toBeUndefined();
    const failing = step('two', { apply: () => Promise.reject(failure('broken', 'It broke.')) });
    await expect(run([step('one'), failing])).rejects.toMatchObject({ code: 'broken' });
    const options = { journal, listen, signal, run: 'second', waits: true };
    expect(await undoSteps([failing], options)).toEqual([]);
    expect(deeds).toEqual(['apply one', 'undo two']);
    expect(onDisk().waiting).toBe(since);
    expect(onDisk().removing).toBeUndefined();
    expect(stateOnDisk('one')).toBe('done');
  });

  it('waits no more when all of it is taken back', async () => {
    await runSteps([step('one')], { journal, listen, signal, waits: true });
    await undoSteps([step('one')], { journal, listen, signal, run: 'second' });
    expect(existsSync(path)).toBe(false);
  });
});
