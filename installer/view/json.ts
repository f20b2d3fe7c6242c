import { redact } from '../../src/secret/redaction.ts';
import type { View } from './view.ts';

/** One JSON object a line on standard output, as docs/events.md describes them. */
export function jsonView(write = (text: string): unknown => process.stdout.write(text)): View {
  const tell = (event: { type: string }) =>
    write(`${JSON.stringify({ time: new Date().toISOString(), ...event }, withoutSecrets)}\n`);
  return {
    listen: tell,
    result: (summary) => tell({ type: 'result', ...summary }),
    error: (report) => tell({ type: 'error', ...report }),
    pause: async () => {},
    end: async () => {},
  };
}

/** Each text is cleaned before it is escaped, so that no escape can hide a secret from the cleaning. */
function withoutSecrets(_key: string, value: unknown): unknown {
  return typeof value === 'string' ? redact(value) : value;
}
