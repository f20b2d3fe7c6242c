import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { inTerminal, type TerminalResult } from './terminal.ts';

const draw = [process.execPath, join(import.meta.dirname, 'draw.ts')];

describe('the live view in a terminal that has no size', () => {
  let result: TerminalResult;
  let lines: string[];
  beforeAll(async () => {
    result = await inTerminal(draw);
    lines = stripVTControlCharacters(result.output).split(/\r?\n/);
  }, 60_000);

  it('ends well and gives the cursor back', () => {
    expect(result.exit).toBe(0);
    expect(result.output.lastIndexOf('\u001b[?25h')).toBeGreaterThan(
      result.output.lastIndexOf('\u001b[?25l'),
    );
  });

  it('leaves each check and step on a line of its own, in order, with facts and times', () => {
    const last = (line: string) => lines.lastIndexOf(line);
    const order = [
      '✔ Check root fact of root',
      '✔ Check ports fact of ports',
      '✔ Build directory 2 min 05 s',
      '✖ Build authority 1.0 s',
      '◼ Build tracking',
      '◼ Build boot',
      '  It broke.',
      '  Badly.',
      '✔ Take back: Build directory 0.5 s',
      'The end',
      '  Token  HSM',
      '  1. Look around',
    ].map(last);
    expect(order).not.toContain(-1);
    expect(order).toEqual(order.toSorted((a, b) => a - b));
  });

  it('does not draw a step as running that never had its turn', () => {
    const after = lines.slice(lines.indexOf('✖ Build authority 1.0 s'));
    expect(after.length).toBeGreaterThan(1);
    // listr2 draws 12 frames a second, and may begin the next task for one of them.
    expect(after.filter((line) => /(?<!◼ )Build tracking/.test(line)).length).toBeLessThanOrEqual(1);
  });

  it('shows how long something takes while it runs', () => {
    expect(lines.some((line) => /Check ports 1 s$/.test(line))).toBe(true);
  });

  it('shows the last line of what runs: short, without its escapes and without secrets', () => {
    const shown = lines.find((line) => line.includes('directory says'));
    expect(shown).toMatch(/directory says \[secret\] long .*…$/);
    expect(shown?.length).toBeLessThan(80);
    expect(result.output).not.toContain('Sentinel.123');
    expect(result.output).not.toContain('\u001b[2J');
  });

  it('shows what is waited for below what runs', () => {
    expect(result.output).toContain('waiting for directory to answer (at most 1 min 30 s)');
  });
});

it('writes plain lines where the output is no terminal', () => {
  const output = execFileSync(draw[0] ?? '', draw.slice(1), { encoding: 'utf8' });
  expect(output).not.toContain('\u001b');
  expect(output).not.toContain('Sentinel.123');
  expect(output).toMatch(/^\d\d:\d\d:\d\d check passed: Check root \(fact of root\)$/m);
  expect(output).toMatch(
    /^\d\d:\d\d:\d\d step FAILED: Build authority \(1\.0 s\): It broke\. Badly\. \[broken\]$/m,
  );
});
