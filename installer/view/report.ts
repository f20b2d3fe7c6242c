import { tableLines } from './table.ts';
import type { Summary } from './view.ts';

/** The closing report of a run: what was built, where it is, what to do next. */
export function reportLines({ title, facts, next }: Summary): string[] {
  const table = tableLines(facts.map(({ name, value }) => [name, value])).map((line) => `  ${line}`);
  const steps = next.map((step, index) => `  ${index + 1}. ${step}`);
  return [
    title,
    ...(table.length > 0 ? ['', ...table] : []),
    ...(steps.length > 0 ? ['', 'Next:', ...steps] : []),
  ];
}
