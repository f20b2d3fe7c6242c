/** Plays the events of a small run to the view that suits the output. */

import { setTimeout as pause } from 'node:timers/promises';
import { openView } from '../../../installer/view/view.ts';
import { Secret } from '../../../src/secret/secret.ts';

new Secret('Sentinel.123', 'sentinel');
const view = await openView();
view.listen({ type: 'checks', total: 2 });
for (const id of ['root', 'ports']) {
  view.listen({ type: 'check-started', id, title: `Check ${id}` });
  await pause(id === 'ports' ? 1200 : 20);
  view.listen({ type: 'check-passed', id, title: `Check ${id}`, fact: `fact of ${id}` });
}
const steps = ['directory', 'authority', 'tracking', 'boot'].map((id) => ({ id, title: `Build ${id}` }));
view.listen({ type: 'plan', steps });
for (const { id, title } of steps.slice(0, 2)) {
  view.listen({ type: 'step-started', id, title });
  view.listen({ type: 'step-line', id, line: `\u001b[2J${id} says Sentinel.123 ${'long '.repeat(40)}` });
  await pause(300);
  view.listen({ type: 'waiting', what: `${id} to answer`, deadline: 90 });
  await pause(300);
  if (id === 'directory') view.listen({ type: 'step-finished', id, title, seconds: 125.2, changed: true });
  else
    view.listen({
      type: 'step-failed',
      id,
      title,
      seconds: 1,
      code: 'broken',
      message: 'It \u001b[2Jbroke.\nBadly.',
    });
}
await pause(300);
view.listen({ type: 'undo-started', id: 'directory', title: 'Build directory' });
view.listen({ type: 'undo-finished', id: 'directory', title: 'Build directory', seconds: 0.5 });
view.result({ title: 'The end', facts: [{ name: 'Token', value: 'HSM' }], next: ['Look around'] });
await view.end();
