import input from '@inquirer/input';
import password from '@inquirer/password';
import { interruption, refusal } from '../src/errors.ts';
import { flawOfRequest, type SecretRequest } from '../src/secret/sources.ts';

// Not enquirer, which listr2 offers to use: Ctrl+C at its prompts crashes on Node 24.2 and later.

/** How often a new password may be repeated wrongly. */
const CONFIRMATIONS = 3;

/** A question with a visible answer. */
export interface Question {
  /** What is asked for: `token name`. */
  what: string;
  /** The answer of a person who only presses Enter. */
  fallback?: string | undefined;
  /** Why an answer will not do, in a sentence; undefined when it will. */
  flaw(answer: string): string | undefined;
}

/** Asks the person at the terminal. */
export interface Asker {
  text(question: Question): Promise<string>;
  /** Asks without showing the answer; a password that is chosen now is asked for twice. */
  secret(request: SecretRequest): Promise<string>;
}

/** Whether a person can be asked here: both what is typed and what is shown go through a terminal. */
export function canAsk(
  typed: { isTTY?: boolean } = process.stdin,
  shown: { isTTY?: boolean } = process.stdout,
): boolean {
  return Boolean(typed.isTTY && shown.isTTY);
}

/**
 * Opens the questions of a run. Its functions throw CapstanError `interrupted` (exit code 130) on Ctrl+C or when
 * `signal` aborts, with the terminal as it was, and `secret-not-confirmed`. Call it only where {@link canAsk}.
 */
export function openAsker(signal?: AbortSignal): Asker {
  const context = signal ? { signal } : {};
  return {
    text: ({ what, fallback, flaw }) =>
      answered(
        input(
          {
            message: `${capitalised(what)}:`,
            ...(fallback !== undefined && { default: fallback }),
            validate: (answer) => flaw(answer) ?? true,
          },
          context,
        ),
      ),
    secret: (request) => (request.chosen ? chosenSecret(request, context) : typedSecret(request, context)),
  };
}

interface Context {
  signal?: AbortSignal;
}

function typedSecret(request: SecretRequest, context: Context, message = capitalised(request.what)) {
  return answered(
    password(
      {
        message: `${message}:`,
        mask: '*',
        toggleMask: false,
        validate: (answer) => flawOfRequest(answer, request)?.message ?? true,
      },
      context,
    ),
  );
}

async function chosenSecret(request: SecretRequest, context: Context): Promise<string> {
  const first = capitalised(`new ${request.what}`);
  for (let round = 1; round <= CONFIRMATIONS; round++) {
    const chosen = await typedSecret(request, context, round === 1 ? first : `They differ. ${first}`);
    const repeated = await typedSecret({ ...request, shortest: 1 }, context, `${first}, again`);
    if (repeated === chosen) return chosen;
  }
  throw refusal('secret-not-confirmed', `The ${request.what} was never typed the same way twice.`);
}

/** The answer; or, when the person ended the question, the error that ends the run. */
async function answered(answer: Promise<string>): Promise<string> {
  try {
    return await answer;
  } catch (error) {
    const name = (error as Error).name;
    if (name !== 'ExitPromptError' && name !== 'AbortPromptError') throw error;
    throw interruption('Interrupted at a question; nothing was changed.');
  }
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
