/** `capstan token export` and `import`, as a person or a script calls them, on a token of SoftHSM. */
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { removeWorkspace, SOFTHSM, softTokens, workspace } from '../hsm/support.ts';
import { inTerminal } from '../terminal/terminal.ts';

const PASSPHRASE = 'battery-staple-correct';
const MAIN = fileURLToPath(new URL('../../../installer/main.ts', import.meta.url));
const isRoot = process.getuid?.() === 0;

let directory: string;
/** A file that is not there. */
let file: string;
let round = 0;

beforeAll(() => {
  directory = workspace();
  softTokens(directory, 'source').add('HSM');
});
afterAll(() => removeWorkspace(directory));

beforeEach(() => {
  round += 1;
  file = join(directory, `hsm-${round}.token`);
});

describe.runIf(isRoot)('on the command line', () => {
  const options = () => [
    '--token-name=HSM',
    `--library-path=${SOFTHSM}`,
    `--log-file=${join(directory, 'log')}`,
    `--output-file=${file}`,
  ];

  function refusedWith(input: string, ...args: string[]): string[] {
    const argv = [MAIN, 'token', ...args, '--output=json'];
    const { stdout, status } = spawnSync(process.execPath, argv, { input, encoding: 'utf8' });
    expect(status).toBe(2);
    const last = JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
    return [last, ...(last.failures ?? [])]
      .map(({ code }) => code)
      .filter((code) => code !== 'preflight-failed');
  }

  test('what is missing or wrong is told together', () => {
    const log = `--log-file=${join(directory, 'log')}`;
    expect(refusedWith('', 'export', log)).toEqual([
      'option-missing',
      'option-missing',
      'option-missing',
      'secrets-missing',
    ]);
    expect(refusedWith('', 'import', log)).toEqual(['option-missing', 'option-missing', 'secrets-missing']);
    expect(refusedWith('eleven-char\n', 'export', ...options(), '--passphrase-file=-')).toEqual([
      'secret-too-short',
    ]);
    writeFileSync(file, '');
    expect(refusedWith('twelve-chars\n', 'export', ...options(), '--passphrase-file=-')).toEqual([
      'output-file-exists',
    ]);
    expect(
      refusedWith(
        'x\n',
        'import',
        log,
        `--library-path=${SOFTHSM}`,
        `--input-file=${file}`,
        '--passphrase-file=-',
      ),
    ).toEqual(['token-file-unreadable']);
  });

  test('a person is asked twice for the passphrase, and does not see it', async () => {
    const { output, exit } = await inTerminal(
      [process.execPath, MAIN, 'token', 'export', ...options()],
      [
        ['New passphrase:', 'too-short\r'],
        ['fewer than 12', '-no-more\r'],
        ['again:', 'another-one\r'],
        ['They differ', `${PASSPHRASE}\r`],
        ['again:', '\u0003'],
      ],
    );
    expect(exit).toBe(130);
    expect(output).not.toContain('no-more');
    expect(output).not.toContain(PASSPHRASE);
    expect(existsSync(file)).toBe(false);
  }, 60_000);
});
