import { inspect } from 'node:util';
import { forgetSecret, hideSecret } from './redaction.ts';

/**
 * A password, PIN or other secret. It prints as `[secret]` wherever it ends up by accident
 * (string, JSON, inspection), and every log hides its value from the moment it exists.
 */
export class Secret {
  readonly #value: string;
  /** What the secret is, for people: `token password`. */
  readonly what: string;

  constructor(value: string, what: string) {
    this.#value = value;
    this.what = what;
    hideSecret(value);
  }

  /** The value itself. Call it only where a library or a file must have it. */
  reveal(): string {
    return this.#value;
  }

  /** Lets go of the value in the redaction table, for secrets that lived for one call only. */
  forget(): void {
    forgetSecret(this.#value);
  }

  toString(): string {
    return '[secret]';
  }

  toJSON(): string {
    return '[secret]';
  }

  [inspect.custom](): string {
    return `[secret: ${this.what}]`;
  }
}
