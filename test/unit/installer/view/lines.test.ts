import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { jsonView } from '../../../../installer/view/json.ts';
import { plainView } from '../../../../installer/view/plain.ts';
import { reportLines } from '../../../../installer/view/report.ts';
import { tableLines } from '../../../../installer/view/table.ts';
import { cleanLine, duration, places, shortened } from '../../../../installer/view/text.ts';
import { suitableView } from '../../../../installer/view/view.ts';
import type { PlanEvent } from '../../../../src/plan/step.ts';
import { Secret } from '../../../../src/secret/secret.ts';

describe('tableLines', () => {
  it('aligns columns under their names', () => {
    expect(
      tableLines(
        [
          ['ca', 'up'],
          ['directory', '', 'why'],
        ],
        ['service', 'state'],
      ),
    ).toEqual(['SERVICE    STATE', 'ca         up', 'directory         why']);
  });

  it('counts letters as a reader sees them', () => {
    expect(
      tableLines([
        ['é', 'x'],
        ['e\u0301', 'x'],
        ['\u001b[31mr\u001b[39m', 'x'],
        ['ab', 'x'],
      ]),
    ).toEqual(['é   x', 'e\u0301   x', '\u001b[31mr\u001b[39m   x', 'ab  x']);
  });

  it('draws nothing of nothing', () => expect(tableLines([])).toEqual([]));
});

describe('text', () => {
  it.each([
    [0, '0.0 s'],
    [12.34, '12.3 s'],
    [59.94, '59.9 s'],
    [59.96, '1 min 00 s'],
    [125.2, '2 min 05 s'],
    [3600, '60 min 00 s'],
  ])('%d seconds are %s', (seconds, text) => expect(duration(seconds)).toBe(text));

  it('cleans a line of colours, cursor movements, controls and secrets', () => {
    new Secret('Hidden.456', 'test');
    expect(cleanLine('\u001b[31mred\u001b[2J\ttab\u0007 Hidden.456 \r')).toBe('red tab  [secret]');
    expect(cleanLine('a\u202eb\u2028c')).toBe('a b c');
  });

  it('shortens to the width and no further', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.integer({ min: 1, max: 30 }), (text, width) => {
        const short = shortened(text, width);
        expect(places(short)).toBeLessThanOrEqual(Math.max(width, 1));
        if (places(text) <= width) expect(short).toBe(text);
      }),
    );
  });
});

describe('reportLines', () => {
  it('tells what, where and what next', () => {
    const facts = [
      { name: 'Token', value: 'HSM' },
      { name: 'Library path', value: '/lib/x.so' },
    ];
    expect(reportLines({ title: 'Done.', facts, next: ['Look.', 'Enjoy.'] })).toEqual([
      'Done.',
      '',
      '  Token         HSM',
      '  Library path  /lib/x.so',
      '',
      'Next:',
      '  1. Look.',
      '  2. Enjoy.',
    ]);
    expect(reportLines({ title: 'Done.', facts: [], next: [] })).toEqual(['Done.']);
  });
});

it.each([
  [{ isTTY: true }, { TERM: 'xterm' }, 'terminal'],
  [{ isTTY: true }, {}, 'terminal'],
  [{ isTTY: true }, { TERM: 'dumb' }, 'plain'],
  [{ isTTY: false }, { TERM: 'xterm' }, 'plain'],
  [{}, {}, 'plain'],
])('output %j in %j is shown as %s', (output, environment, kind) => {
  expect(suitableView(output, environment)).toBe(kind);
});

/** One of each event of the engine. */
const EVENTS: PlanEvent[] = [
  { type: 'checks', total: 2 },
  { type: 'check-started', id: 'a', title: 'Check a' },
  { type: 'check-passed', id: 'a', title: 'Check a', fact: 'fact' },
  { type: 'check-failed', id: 'b', title: 'Check b', code: 'bad', message: 'Bad\nthing.', next: 'Fix.' },
  { type: 'plan', steps: [{ id: 's', title: 'Step s' }] },
  { type: 'step-started', id: 's', title: 'Step s' },
  { type: 'step-line', id: 's', line: '\u001b[1mHidden.789\u001b[22m' },
  { type: 'waiting', what: 'Hidden.789\nthe CA', deadline: 600 },
  { type: 'step-finished', id: 's', title: 'Step s', seconds: 2, changed: true },
  { type: 'step-finished', id: 's', title: 'Step s', seconds: 0.1, changed: false },
  { type: 'step-failed', id: 's', title: 'Step s', seconds: 3, code: 'bad', message: 'Bad.' },
  { type: 'undo-started', id: 's', title: 'Step s' },
  { type: 'undo-finished', id: 's', title: 'Step s', seconds: 1 },
  { type: 'undo-failed', id: 's', title: 'Step s', code: 'bad', message: 'Bad.' },
];

describe('the line views', () => {
  afterEach(() => vi.useRealTimers());

  function outputOf(open: typeof jsonView): string[] {
    new Secret('Hidden.789', 'test');
    const written: string[] = [];
    const view = open((text: string) => written.push(text));
    for (const event of EVENTS) view.listen(event);
    view.result({ title: 'Done with Hidden.789', facts: [], next: [] });
    return written;
  }

  it('plain: one line an event, each with its time', () => {
    vi.useFakeTimers({ now: new Date(2026, 0, 2, 3, 4, 5) });
    expect(outputOf(plainView)).toEqual([
      '03:04:05 2 checks before anything changes\n',
      '03:04:05 check: Check a\n',
      '03:04:05 check passed: Check a (fact)\n',
      '03:04:05 check FAILED: Check b: Bad thing. [bad]\n',
      '03:04:05 1 steps: Step s\n',
      '03:04:05 step: Step s\n',
      '03:04:05   | [secret]\n',
      '03:04:05   | waiting for [secret] the CA (at most 10 min 00 s)\n',
      '03:04:05 step done: Step s (2.0 s)\n',
      '03:04:05 step already so: Step s (0.1 s)\n',
      '03:04:05 step FAILED: Step s (3.0 s): Bad. [bad]\n',
      '03:04:05 undo: Step s\n',
      '03:04:05 undo done: Step s (1.0 s)\n',
      '03:04:05 undo FAILED: Step s: Bad. [bad]\n',
      'Done with [secret]\n',
    ]);
  });

  it('json: one object a line, with time and type, without secrets', () => {
    const lines = outputOf(jsonView);
    expect(lines.every((line) => line.endsWith('\n') && line.indexOf('\n') === line.length - 1)).toBe(true);
    const objects = lines.map((line) => JSON.parse(line));
    expect(objects.map(({ type }) => type)).toEqual([...EVENTS.map(({ type }) => type), 'result']);
    for (const { time } of objects) expect(new Date(time).toISOString()).toBe(time);
    expect(lines.join('')).not.toContain('Hidden.789');
  });
});
