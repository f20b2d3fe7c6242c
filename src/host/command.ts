import { basename } from 'node:path';
import type { Options } from 'execa';
import { type CapstanError, failure, interruption, refusal } from '../errors.ts';
import { lineRedactor, redact } from '../secret/redaction.ts';
import type { Secret } from '../secret/secret.ts';
import { type DeadlineName, longerHint } from './deadlines.ts';
import type { Log } from './log.ts';
import type { Waiter } from './wait.ts';

/** How one program is run. */
export interface CommandOptions {
  /**
   * Until when the program is asked to end (5 s later it is killed) and the call fails: a name of the table,
   * `command` unless told; or seconds, for what is no part of an installation.
   */
  deadline?: DeadlineName | number;
  /** What is waited for, for a person; the program's name unless told. */
  what?: string;
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

/** What a program is run on: see {@link Host}. */
export interface CommandHost extends Waiter {
  log: Log;
  runId: string;
}

/** The variable by which a later run finds what a killed one left running. */
export const RUN_MARK = 'CAPSTAN_RUN';

/** The environment that marks a program as one of this run; see {@link RUN_MARK}. */
export function runMark(runId: string): Record<string, string> {
  return { [RUN_MARK]: runId };
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

/** Milliseconds between the request to end and the kill. */
const KILL_DELAY = 5000;
/** Milliseconds that a killed program may take to be gone. */
const SETTLING = 2000;

/**
 * The one way to run a program: argument array, deadline, clean environment, captured and logged output.
 * The program gets a session of its own: no terminal to ask at, no Ctrl+C but through `signal`, and what it started
 * in its process group ends with it.
 * A running program is ended when the host's signal aborts; none is started afterwards.
 * @throws (from the returned function) CapstanError `command-missing`, `command-failed`, `command-deadline`, `command-interrupted`
 */
export function commandRunner(host: CommandHost): Run {
  const { log, signal } = host;
  return async (file, args, options = {}) => {
    // Loaded with the first program: that takes longer than all else before the refusal of a wrong option.
    const { execa } = await import('execa');
    // A quick program might do its work before it is ended.
    if (signal.aborted) throw interrupted(file);
    const shown = redact([file, ...args].map(quoted).join(' '));
    log.write(`run ${shown}`);
    const seconds = secondsOf(host, options);
    const program = execa(file, args as string[], execaOptions(host, options, seconds));
    const release = releaseWhenEnded(program, seconds, signal);
    const told = host.waiting(options.what ?? basename(file), seconds);
    const result = await Promise.race([program, release.givenUp]).finally(() => {
      told();
      release.callOff();
    });
    if (!result) {
      log.write(`not even killed: ${shown}`);
      throw signal.aborted
        ? interrupted(file)
        : pastDeadline(file, options, seconds, 'cannot even be killed');
    }
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
    throw commandError(file, result, options, seconds);
  };
}

function secondsOf({ deadlines }: CommandHost, { deadline = 'command' }: CommandOptions): number {
  return typeof deadline === 'number' ? deadline : deadlines[deadline];
}

function execaOptions({ signal, runId }: CommandHost, options: CommandOptions, seconds: number): Options {
  const input = options.input;
  return {
    reject: false,
    timeout: seconds * 1000,
    forceKillAfterDelay: KILL_DELAY,
    killDescendants: true,
    stripFinalNewline: false,
    extendEnv: false,
    env: { ...CLEAN_ENVIRONMENT, ...runMark(runId), ...options.env },
    stdin: input === undefined ? 'ignore' : 'pipe',
    stdout: output(options.onLine),
    stderr: output(options.onLine),
    ...(input !== undefined && { input: typeof input === 'string' ? input : input.reveal() }),
    ...(options.cwd !== undefined && { cwd: options.cwd }),
    cancelSignal: signal,
  } as Options;
}

/** How one stream is captured: as it is, with each line told, redacted, on the way. */
function output(onLine: CommandOptions['onLine']) {
  if (!onLine) return 'pipe';
  const redactLine = lineRedactor();
  const tell = function* (line: unknown) {
    onLine(redactLine(String(line)));
    yield line;
  };
  return [tell, 'pipe'];
}

/**
 * Stops reading a program that was ended, once the kill must have worked: a daemon that left its process group may hold
 * the output open for ever, and the caller would wait as long. A program that is still there after that is stuck in the
 * kernel, on a file system that does not answer for instance, and is left behind.
 * @returns `callOff`, for when it has ended; `givenUp` resolves when it is left behind
 */
function releaseWhenEnded(
  program: {
    stdio: readonly ({ destroy(): unknown } | null | undefined)[];
    nodeChildProcess: { unref(): void };
  },
  deadline: number,
  signal: AbortSignal,
): { callOff(): void; givenUp: Promise<undefined> } {
  const { promise: givenUp, resolve } = Promise.withResolvers<undefined>();
  const leave = () => {
    program.nodeChildProcess.unref();
    resolve(undefined);
  };
  const stopReading = () => {
    for (const stream of program.stdio) stream?.destroy();
    timer = setTimeout(leave, SETTLING);
  };
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(stopReading, KILL_DELAY + SETTLING);
  };
  let timer = setTimeout(later, deadline * 1000);
  signal.addEventListener('abort', later, { once: true });
  return {
    givenUp,
    callOff() {
      clearTimeout(timer);
      signal.removeEventListener('abort', later);
    },
  };
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
function commandError(file: string, result: Ended, options: CommandOptions, seconds: number): CapstanError {
  if (result.isCanceled) return interrupted(file);
  if (result.timedOut) return pastDeadline(file, options, seconds, 'was stopped');
  // A working directory that is not there gives the same code.
  if (result.code === 'ENOENT' && options.cwd === undefined) {
    return refusal(
      'command-missing',
      `The program ${file} is not installed.`,
      `Install the package that brings ${file}.`,
    );
  }
  if (result.exitCode === undefined && result.signal === undefined) {
    return failure('command-failed', `${file} could not be run: ${result.code ?? 'nobody knows why'}.`);
  }
  const lastWords = lastLines(text(result.stderr).trim() || text(result.stdout).trim());
  const end =
    result.exitCode === undefined
      ? `was ended by ${result.signal}`
      : `failed with exit code ${result.exitCode}`;
  return failure('command-failed', `${file} ${end}${lastWords ? `: ${lastWords}` : ''}`);
}

function pastDeadline(file: string, { deadline = 'command' }: CommandOptions, seconds: number, fate: string) {
  return failure(
    'command-deadline',
    `${file} did not end within ${seconds} s and ${fate}.`,
    typeof deadline === 'string' ? `If it only is slow: ${longerHint(deadline)}.` : undefined,
  );
}

function interrupted(file: string): CapstanError {
  return interruption(`${file} was interrupted.`, 'command-interrupted');
}

/** Redacted before it is cut: the rest of a secret of several lines would not be recognised. */
function lastLines(output: string): string {
  return redact(output).split('\n').slice(-5).join('\n');
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
