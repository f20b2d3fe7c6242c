/** The transcript of a ceremony, for the auditor: who did what where, and what came of it. Pure. */

/** What a transcript begins with: names and values. */
export type TranscriptFacts = readonly (readonly [name: string, value: string])[];

/** A transcript that is being written. */
export interface Transcript {
  /** Adds an action, with its time. */
  note(action: string): void;
  /**
   * The whole text.
   * @param outputs SHA-256 in hex by file
   * @param head SHA-256 of the last line of the index, which every line before it goes into
   */
  text(outputs: readonly (readonly [file: string, sha256: string])[], head: string): string;
}

/** Begins a transcript. @param now gives the time of each action */
export function openTranscript(title: string, facts: TranscriptFacts, now = () => new Date()): Transcript {
  const actions: string[] = [];
  const width = Math.max(...facts.map(([name]) => name.length)) + 2;
  return {
    note: (action) => void actions.push(`${now().toISOString()}  ${action}`),
    text: (outputs, head) =>
      [
        title,
        '='.repeat(title.length),
        '',
        ...facts.map(([name, value]) => `${`${name}:`.padEnd(width)}${value}`),
        ...['', 'Actions', '-------', ''],
        ...actions,
        ...['', 'Outputs (SHA-256)', '-----------------', ''],
        ...outputs.map(([file, digest]) => `${digest}  ${file}`),
        `${head}  the last line of the index`,
        '',
      ].join('\n'),
  };
}
