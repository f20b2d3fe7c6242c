/** Lengths of time as an administrator writes them: `20 years`, `6 months`, `180 days`. Pure. */

/** A length of time by the calendar. */
export interface Duration {
  count: number;
  unit: 'day' | 'month' | 'year';
}

/** Reads a length of time; undefined where the text is none. */
export function parseDuration(text: string): Duration | undefined {
  const [, count, unit] = /^([1-9][0-9]{0,4}) (day|month|year)s?$/.exec(text) ?? [];
  return count && unit ? { count: Number(count), unit: unit as Duration['unit'] } : undefined;
}

/** As it is written. */
export function formatDuration({ count, unit }: Duration): string {
  return `${count} ${unit}${count === 1 ? '' : 's'}`;
}

/**
 * The last second of a time that begins at `from`: both ends count (RFC 5280, 4.1.2.5). A day that the month does not
 * have is its last one.
 */
export function endOf(from: Date, { count, unit }: Duration): Date {
  const end = new Date(from);
  if (unit === 'day') end.setUTCDate(end.getUTCDate() + count);
  else {
    const day = end.getUTCDate();
    end.setUTCDate(1);
    end.setUTCMonth(end.getUTCMonth() + (unit === 'year' ? 12 * count : count));
    const last = new Date(Date.UTC(end.getUTCFullYear(), end.getUTCMonth() + 1, 0)).getUTCDate();
    end.setUTCDate(Math.min(day, last));
  }
  return new Date(end.getTime() - 1000);
}
