import { refusal } from '../src/errors.ts';
import { canAsk, openAsker } from './prompt.ts';
import type { Session } from './session.ts';

/** Asks whether the steps that were shown are to be taken. @throws CapstanError `confirmation-missing`, `interrupted` */
export async function confirmSteps(
  { unattended, output }: { unattended?: boolean; output?: string },
  session: Session,
): Promise<void> {
  if (unattended) return;
  // A question would stand in the middle of the JSON.
  if (output === 'json' || !canAsk()) {
    throw refusal(
      'confirmation-missing',
      'Nobody can be asked whether these steps are meant.',
      'Look at them with --dry-run; then add --unattended.',
    );
  }
  await session.view.pause();
  await openAsker(session.signal).text({
    what: '"yes", to take these steps',
    flaw: (answer) => (answer === 'yes' ? undefined : 'Only "yes" begins; interrupt to leave all as it is.'),
  });
}
