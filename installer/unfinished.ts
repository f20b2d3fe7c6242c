/** What becomes of an installation that an earlier run left unfinished. */
import { type CapstanError, refusal } from '../src/errors.ts';
import { secondStage } from '../src/flow/second-stage.ts';
import type { FlowName, Site } from '../src/flow/site.ts';
import { type Journal, storyOf } from '../src/plan/journal.ts';
import type { Asker } from './prompt.ts';

/** How a run of an installing command goes about: from the beginning, on from where an earlier one stopped, or back. */
export type Way = 'begin' | 'resume' | 'undo';

/** What the options say about an unfinished installation. */
export interface WayValues {
  resume?: boolean;
  undo?: boolean;
  /** Of `server-install`: what the second stage of an externally signed CA begins with. */
  externalCertFile?: string[];
}

/**
 * The way that the options name, or that a person chooses.
 * @param flow the one that is to be run
 * @param journal the one of an unfinished installation on this host
 * @throws CapstanError `nothing-unfinished`, `unfinished-run`, `nothing-waiting`, `waiting-for-certificate`
 */
export async function chooseWay(
  flow: FlowName,
  { resume, undo, externalCertFile: files }: WayValues,
  journal: Journal | undefined,
  asker: Asker | undefined,
): Promise<Way> {
  if (!journal) {
    if (files) throw nothingWaiting('There is no installation on this host that waits for a certificate.');
    if (!resume && !undo) return 'begin';
    throw refusal(
      'nothing-unfinished',
      `There is no unfinished installation on this host to ${resume ? 'resume' : 'undo'}.`,
      'See what there is with "capstan status"; remove a finished one with "capstan uninstall".',
    );
  }
  if (journal.flow !== flow) throw ofAnother(journal);
  if (undo) return 'undo';
  if (files && journal.waiting === undefined)
    throw nothingWaiting(
      `The installation on this host waits for no certificate now. ${storyOf(journal)}.`,
      journal.removing ? 'Take everything back: --undo.' : 'Go on with it: --resume, without certificates.',
    );
  if (files) return 'resume';
  if (journal.waiting !== undefined) throw waiting(journal.waiting);
  if (resume) return 'resume';
  if (!asker) throw unfinished(journal);
  return ask(journal, asker);
}

function unfinished(journal: Journal): CapstanError {
  return refusal(
    'unfinished-run',
    `An installation on this host did not come to its end. ${storyOf(journal)}.`,
    `${journal.removing ? '' : 'Go on with it: --resume. '}Take everything back: --undo.`,
  );
}

function nothingWaiting(
  message: string,
  next = 'The first stage, "capstan server-install --external-ca", makes the request; the certificate comes after it.',
): CapstanError {
  return refusal('nothing-waiting', message, next);
}

function waiting(since: string): CapstanError {
  return refusal(
    'waiting-for-certificate',
    `The installation on this host waits for the certificate of its CA since ${since}.`,
    `Go on with the certificate and those above it: ${secondStage()}. Take everything back: --undo.`,
  );
}

function ofAnother(journal: Journal): CapstanError {
  const { flow, removing } = journal;
  return refusal(
    'unfinished-run',
    `A run of "capstan ${flow}" on this host did not come to its end. ${storyOf(journal)}.`,
    `${removing ? '' : `Go on with it: "capstan ${flow} --resume". `}Take everything back: "capstan ${flow} --undo".`,
  );
}

async function ask(journal: Journal, asker: Asker): Promise<Way> {
  const words = journal.removing ? (['undo'] as const) : (['resume', 'undo'] as const);
  const answer = await asker.text({
    what: `an installation on this host did not come to its end. ${storyOf(journal)}. Type ${words.join(' or ')}`,
    flaw: (text) => (words.some((word) => word === text.trim()) ? undefined : `Type ${words.join(' or ')}.`),
  });
  return answer.trim() as Way;
}

/** Asks what is to become of an installation whose run just failed or was interrupted; Ctrl+C keeps it as it is. */
export async function decide(asker: Asker): Promise<'undo' | 'keep'> {
  const words = ['undo', 'keep'];
  const answer = await asker
    .text({
      what: 'take back what was done, or keep it to --resume? Type undo or keep',
      fallback: 'undo',
      flaw: (text) => (words.includes(text.trim()) ? undefined : 'Type undo or keep.'),
    })
    .catch(() => 'keep');
  return answer.trim() === 'undo' ? 'undo' : 'keep';
}

/** What the names of the site are called on the command line. */
const OPTIONS: Readonly<
  Record<Exclude<keyof Site, 'token' | 'supplier' | 'setupKra' | 'kraMaster' | 'external'>, string>
> = {
  hostname: '--hostname',
  domain: '--domain',
  realm: '--realm',
  caSubject: '--ca-subject',
  subjectBase: '--subject-base',
  keySize: '--key-size',
  override: '--pki-config-override',
};

function differingAuthority(begun: Site['external'], asked: Site['external']): [string, unknown, unknown][] {
  return [
    ['--external-ca', begun && 'given', asked && 'given'],
    ['--external-ca-type', begun?.type, asked?.type],
    ['--external-ca-profile', begun?.profile, asked?.profile],
    ['--keep-secrets', begun?.keepSecrets && 'given', asked?.keepSecrets && 'given'],
  ];
}

/**
 * Refuses a request that is not the one that the installation began with.
 * @throws CapstanError `resume-differs`
 */
export function requireSame(begun: Site, asked: Site): void {
  const names = Object.keys(OPTIONS) as (keyof typeof OPTIONS)[];
  const pairs: [string, unknown, unknown][] = [
    ...names.map((name): [string, unknown, unknown] => [OPTIONS[name], begun[name], asked[name]]),
    ['--token-name', begun.token.label, asked.token.label],
    ['--library-path', begun.token.libraryPath, asked.token.libraryPath],
    ...differingAuthority(begun.external, asked.external),
    ['--setup-kra', begun.setupKra ? 'given' : undefined, asked.setupKra ? 'given' : undefined],
  ];
  const [differing] = pairs.filter(([, before, now]) => before !== now);
  if (!differing) return;
  const [option, before, now] = differing;
  throw refusal(
    'resume-differs',
    `The installation began with ${option} ${before ?? '(not given)'}, and cannot be resumed with ${now ?? '(not given)'}.`,
    'Leave the option out; or take everything back with --undo and begin again.',
  );
}
