import { places } from './text.ts';

/** Two blanks keep columns apart even where a cell is empty. */
const GAP = '  ';

/**
 * Rows as aligned lines. A row may be shorter than the others.
 * @param header names of the columns, drawn above them in capitals
 */
export function tableLines(rows: readonly (readonly string[])[], header?: readonly string[]): string[] {
  const all = header ? [header.map((name) => name.toUpperCase()), ...rows] : rows;
  const columns = Math.max(0, ...all.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(...all.map((row) => places(row[column] ?? ''))),
  );
  return all.map((row) =>
    row
      .map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - places(cell)))
      .join(GAP)
      .trimEnd(),
  );
}
