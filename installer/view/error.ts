import { styleText } from 'node:util';
import { CapstanError, EXIT_FAILED, PreflightError, sentenceOf } from '../../src/errors.ts';
import type { Log } from '../../src/host/log.ts';
import { redact } from '../../src/secret/redaction.ts';
import { cleanText } from './text.ts';

/** What is told about one error. */
export interface ErrorReport {
  /** The stable name, or `defect` for what Capstan did not foresee. */
  code: string;
  message: string;
  /** The sentences of what is behind it, nearest first. */
  causes: string[];
  next?: string;
  exit: number;
  /** Every failed check of a preflight; empty for other errors. */
  failures: ErrorReport[];
}

/** The facts of anything that was thrown, without secrets. */
export function describeError(thrown: unknown, log?: Log): ErrorReport {
  if (thrown instanceof CapstanError) {
    return {
      code: thrown.code,
      message: redact(thrown.message),
      causes: causesOf(thrown),
      ...(thrown.next && { next: redact(thrown.next) }),
      exit: thrown.exit,
      failures: thrown instanceof PreflightError ? thrown.failures.map((one) => describeError(one)) : [],
    };
  }
  return {
    code: 'defect',
    message: `This is a defect of Capstan: ${redact(sentenceOf(thrown))}`,
    causes: causesOf(thrown),
    next: log?.path
      ? `Report it with the end of ${log.path}.`
      : 'Report it with the command that you ran; CAPSTAN_TRACE=1 shows where it happened.',
    exit: EXIT_FAILED,
    failures: [],
  };
}

/** The chain of causes; a sentence that is already part of the one before it is left out. */
function causesOf(thrown: unknown): string[] {
  const causes: string[] = [];
  let told = sentenceOf(thrown);
  let cause = thrown instanceof Error ? thrown.cause : undefined;
  // An error chain that bites its own tail must not hang the report.
  for (let depth = 0; cause !== undefined && depth < 8; depth++) {
    const sentence = sentenceOf(cause);
    if (!told.includes(sentence)) causes.push(redact(sentence));
    told = sentence;
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  return causes;
}

/** Where an error came from, without secrets: its stack, or the one of the defect that is behind it. */
export function stackOf(error: Error): string {
  let origin = error;
  for (let depth = 0; origin.cause instanceof Error && depth < 8; depth++) origin = origin.cause;
  return redact(origin.stack ?? origin.message);
}

/** The report as lines of text for a person. */
export function errorLines(report: ErrorReport): string[] {
  return [
    `${coloured('red', 'error:')} ${indented(report.message)} ${coloured('dim', `[${report.code}]`)}`,
    ...detailLines(report),
    ...report.failures.flatMap((one, index) => [
      `${String(index + 1).padStart(3)}. ${indented(one.message)} ${coloured('dim', `[${one.code}]`)}`,
      ...detailLines(one).map((line) => `   ${line}`),
    ]),
  ];
}

function coloured(colour: 'red' | 'dim', text: string): string {
  return styleText(colour, text, { stream: process.stderr });
}

function detailLines({ causes, next }: ErrorReport): string[] {
  return [
    ...causes.map((cause) => `  because: ${indented(cause)}`),
    ...(next ? [`  next: ${indented(next)}`] : []),
  ];
}

function indented(text: string): string {
  return cleanText(text, '    ');
}

/** Writes the report to standard error, in colour where that is a terminal. */
export function printError(report: ErrorReport): void {
  process.stderr.write(`${errorLines(report).join('\n')}\n`);
}
