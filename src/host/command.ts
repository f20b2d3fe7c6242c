import { execa, type Options } from 'execa';
import { CapstanError, failure, refusal } from '../errors.ts';
import { redact } from '../secret/redaction.ts';
import type { Secret } from '../secret/secret.ts';
import type { Log } from './log.ts';

/** How one program is run. */
export interface CommandOptions {
  /** Seconds until the program is ended and the call fails; 60 unless told. */
  deadline?: number;
  /** Standard input; none unless told. */
  input?: string | Secret;
  /** Called with each line of output while the program works. */
  onLine?: (line: string) => void;
  /** Exit codes that are answers and no failures; [0] unless told. */
  accept?: readonly number[];
  /** Additional environment. Never for secrets. */
  env?: Readonly<Record<string, string>>;
  cwd?: string;
}

/** What a program left behind. */
export interface CommandResult {
  exitCode: number;
  stdout: string;
  stderr: string;
  /** Wall time in seconds. */
  seconds: number;
}

/** Runs a program with an argument array; see {@link commandRunner}. */
export type Run = (file: string, args: readonly string[], options?: CommandOptions) => Promise<CommandResult>;

/** What the programs see of Capstan's own environment: a path, a locale that prints English, and nothing else. */
const CLEAN_ENVIRONMENT = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/root',
  LANG: 'C.UTF-8',
  LC_ALL: 'C.UTF-8',
};

/**
 * The one way to run a program: argument array, deadline, clean environment, captured and logged output.
 * The program gets a process group of its own descendants ended with it.
 * @param signal ends a running program when it aborts
 * @throws (from the returned function) CapstanError `command-missing`, `command-failed`, `command-deadline`, `command-interrupted`
 */
export function commandRunner(log: Log, signal?: AbortSignal): Run {
  return async (file, args, options = {}) => {
    const shown = redact([file, ...args].map(quoted).join(' '));
    log.write(`run ${shown}`);
    const result = await execa(file, args as string[], execaOptions(options, signal));
    const outcome: CommandResult = {
      exitCode: result.exitCode ?? -1,
      stdout: text(result.stdout),
      stderr: text(result.stderr),
      seconds: Math.round(result.durationMs) / 1000,
    };
    log.write(
      `exit ${result.exitCode ?? result.signal ?? result.code} after ${outcome.seconds} s: ${shown}${indented(outcome)}`,
    );
    if (result.exitCode !== undefined && (options.accept ?? [0]).includes(result.exitCode)) return outcome;
    throw commandError(file, result, options);
  };
}

function execaOptions(options: CommandOptions, signal: AbortSignal | undefined): Options {
  const onLine = options.onLine;
  const lines = onLine
    ? function* (line: unknown) {
        onLine(redact(String(line)));
        yield line;
      }
    : undefined;
  const input = options.input;
  return {
    reject: false,
    timeout: (options.deadline ?? 60) * 1000,
    forceKillAfterDelay: 5000,
    stripFinalNewline: false,
    extendEnv: false,
    env: { ...CLEAN_ENVIRONMENT, ...options.env },
    stdin: input === undefined ? 'ignore' : 'pipe',
    stdout: lines ? [lines, 'pipe'] : 'pipe',
    stderr: lines ? [lines, 'pipe'] : 'pipe',
    ...(input !== undefined && { input: typeof input === 'string' ? input : input.reveal() }),
    ...(options.cwd !== undefined && { cwd: options.cwd }),
    ...(signal && { cancelSignal: signal }),
  } as Options;
}

/** How a program ended, as execa tells it. */
interface Ended {
  isCanceled: boolean;
  timedOut: boolean;
  code?: string | undefined;
  signal?: string | undefined;
  exitCode?: number | undefined;
  stdout?: unknown;
  stderr?: unknown;
}

/** The error of a program that did not do what was asked, composed from the facts of its end. */
function commandError(file: string, result: Ended, options: CommandOptions): CapstanError {
  if (result.isCanceled) {
    return new CapstanError({ code: 'command-interrupted', message: `${file} was interrupted.`, exit: 130 });
  }
  if (result.timedOut) {
    return failure(
      'command-deadline',
      `${file} did not end within ${options.deadline ?? 60} s and was stopped.`,
    );
  }
  if (result.code === 'ENOENT') {
    return refusal(
      'command-missing',
      `The program ${file} is not installed.`,
      `Install the package that brings ${file}.`,
    );
  }
  const lastWords = redact(lastLines(text(result.stderr).trim() || text(result.stdout).trim()));
  const end =
    result.exitCode === undefined
      ? `was ended by ${result.signal ?? result.code ?? 'an unknown cause'}`
      : `failed with exit code ${result.exitCode}`;
  return failure('command-failed', `${file} ${end}${lastWords ? `: ${lastWords}` : ''}`);
}

function lastLines(output: string): string {
  return output.split('\n').slice(-5).join('\n');
}

function text(output: unknown): string {
  return typeof output === 'string' ? output : '';
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function indented({ stdout, stderr }: CommandResult): string {
  const both = [stdout.trimEnd(), stderr.trimEnd()].filter(Boolean).join('\n');
  return both ? `\n${both}` : '';
}
