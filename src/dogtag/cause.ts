/**
 * Why Dogtag failed, in words that an administrator understands. Dogtag says so in its logs, between audit lines, the
 * complaints of threads that try again by themselves, and stack traces; pkispawn prints a page of HTML. Pure.
 */

/** What Dogtag said since a point in time, each as text of many lines; empty where it said nothing. */
export interface DogtagWords {
  /** The debug log of the subsystem. */
  debug: string;
  /** Its log of self-tests. */
  selftests: string;
  /** The system journal of its Tomcat, messages only. */
  journal: string;
  /** What pkispawn printed, with `-v`. */
  output: string;
}

/** A cause, and what to do about it. */
export interface Cause {
  /** A sentence; Dogtag's own words are part of it. */
  message: string;
  next?: string;
}

/** A line of a log that says what went wrong, in its own words. */
type Saying = string;

interface Signature {
  pattern: RegExp;
  /** @param found the groups of the pattern */
  meaning(found: readonly string[]): string;
  next: string;
}

const SEE_HSM = 'Check the HSM, and the way to it as the user pkiuser, with the vendor’s tool.';
const SEE_DIRECTORY =
  'See that the directory runs ("systemctl status dirsrv.target"), and its errors log under /var/log/dirsrv.';
const SEE_JOURNAL = 'See "journalctl -u pki-tomcatd@pki-tomcat".';

/** What is known, from real failures of Dogtag 10.10.2 in the lab; the numbers are NSS's and NSPR's error codes. */
const SIGNATURES: readonly Signature[] = [
  {
    pattern: /No space left on device/i,
    meaning: () => 'a file system is full',
    next: 'Make room: "df -h" shows where.',
  },
  {
    pattern: /No such token: (.+?)\s*$|Token (.+?) not found/i,
    meaning: ([one, other]) => `Dogtag does not find the token ${one ?? other}`,
    next: SEE_HSM,
  },
  {
    pattern: /unable to log ?in to token/i,
    meaning: () => 'the token did not let Dogtag in',
    next: 'See that the HSM answers, and that its user PIN is still the one that was given.',
  },
  {
    pattern: /Key ?pair generation failed on token/i,
    meaning: () => 'the token made no key',
    next: SEE_HSM,
  },
  {
    pattern: /Signing operation failed: \(-\d+\)/i,
    meaning: () => 'the token made no signature',
    next: SEE_HSM,
  },
  {
    pattern:
      /Unable to connect: \(-\d+\)|Unable to connect to LDAP server|Is the database up\?|Server or network error \(81\)/i,
    meaning: () => 'Dogtag does not reach its directory',
    next: SEE_DIRECTORY,
  },
  {
    pattern: /File '([^']*\/archive\/[^']*)' already exists/,
    meaning: ([file]) => `pkispawn names its archive by the second, and ${file} is there already`,
    next: 'The clock went back, or pkispawn ran twice in a second: set the clock, and run the command again.',
  },
  {
    pattern: /(\S+) is not yet valid/,
    meaning: ([what]) => `by the clock of this host the ${what} is not valid yet`,
    next: 'Set the clock, best from a time server.',
  },
  {
    pattern: /OutOfMemoryError|oom-kill|OOM killer/,
    meaning: () => 'Tomcat had not enough memory',
    next: 'Give the host more memory.',
  },
  {
    pattern: /Main process exited, code=(?:killed|dumped), status=(\S+)/,
    meaning: ([status]) => `Tomcat was ended by a signal (${status})`,
    next: SEE_JOURNAL,
  },
];

/** Threads that try again by themselves and write SEVERE whenever the directory restarts, or when Tomcat stops. */
const BACKGROUND =
  /^(?:AuthorityMonitor|profileChangeMonitor|CertStatusUpdateTask|SerialNumberUpdateTask|Thread-\d+)$/;
/** What says nothing of a cause: audit events that came too late for their log, and rights that nobody could look up. */
const AUDIT = /^(?:LogFile: |checkPermission\(|AAclAuthz: |\S+: Attempt to log message )/;
/** What is only the frame around the real failure, whose stack trace ends in the root cause. */
const FRAME = /^(?:Servlet\.service\(\) |Exception sending context )/;

/**
 * The cause of a failure: what is known of the sayings, wherever it stands; otherwise the nearest saying as it is.
 * @returns undefined where nobody said anything
 */
export function causeOf(words: DogtagWords): Cause | undefined {
  const sayings = sayingsOf(words);
  for (const saying of sayings) {
    const known = knownCause(saying);
    if (known) return known;
  }
  const [nearest] = sayings;
  return nearest === undefined ? undefined : { message: nearest };
}

/** The cause that a saying is known for. */
export function knownCause(saying: Saying): Cause | undefined {
  for (const { pattern, meaning, next } of SIGNATURES) {
    const found = pattern.exec(saying);
    if (found) return { message: `${meaning(found.slice(1))} ("${saying}")`, next };
  }
  return undefined;
}

/** All that may tell the cause, the nearest first: of each log the newest, and the subsystem's own before pkispawn's. */
function sayingsOf({ debug, selftests, journal, output }: DogtagWords): Saying[] {
  return [
    ...severeSayings(debug),
    ...failedSelfTests(selftests),
    ...severeSayings(output),
    ...installationFailure(output),
    ...unitSayings(journal),
  ]
    .map(plain)
    .filter((saying) => saying !== '');
}

/** The head of a record of java.util.logging: in the debug log with time and thread, from a tool of pkispawn's without. */
const RECORD =
  /^(?:\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \[(?<thread>[^\]]*)\] )?(?<level>SEVERE|WARNING|INFO|FINE|FINER|FINEST|CONFIG|DEBUG|ERROR): (?<message>.*)$/;

/** What the records of level SEVERE say, newest first, and then the root causes of those that say nothing themselves. */
function severeSayings(log: string): Saying[] {
  const sayings: Saying[] = [];
  const rootCauses: Saying[] = [];
  let isFrame = false;
  for (const line of log.split('\n')) {
    const { thread = '', level, message = '' } = RECORD.exec(line)?.groups ?? {};
    if (level === undefined) {
      const rootCause = isFrame && /^Caused by: (.*)$/.exec(line)?.[1];
      if (rootCause) rootCauses.push(rootCause);
      continue;
    }
    const counts = level === 'SEVERE' && !BACKGROUND.test(thread) && !AUDIT.test(message);
    isFrame = counts && FRAME.test(message);
    if (counts && !isFrame) sayings.push(message);
  }
  return [...sayings.toReversed(), ...rootCauses.toReversed()];
}

/** How a self-test says that it failed (LogMessages.properties of 10.10.2, `SELFTESTS_*` and `CMSCORE_SELFTESTS_*`). */
const FAILED_TEST =
  /verification failure: |is NOT (?:yet initialized|present)|is not yet valid|FAILED!|property name .* does not exist/;

/** Self-tests that failed: first what one found, then that it was a critical one. They write one line each, with no level. */
function failedSelfTests(log: string): Saying[] {
  const lines = log.split('\n').filter((line) => FAILED_TEST.test(line));
  return lines.map((line) => line.replace(/^.*?\] \[\d+\] \[\d+\] /, ''));
}

/** What pkispawn says at its end: a page of HTML from the subsystem, a sentence, or an exception of Python. */
function installationFailure(output: string): Saying[] {
  const said = /^(?:ERROR: )?Installation failed:\s*([\s\S]*)/m.exec(output)?.[1] ?? '';
  const rootCause = [...said.matchAll(/Root Cause<\/b><\/p><pre>([^\n<]*)/g)].at(-1)?.[1];
  const message = /Message<\/b>\s*([^<]*)/.exec(said)?.[1];
  const sentence = said.trimStart().startsWith('<') ? undefined : said.split('\n', 1)[0];
  const exception = [...output.matchAll(/^(?:ERROR: )?([A-Za-z_.]*(?:Error|Exception): .*)$/gm)].at(-1)?.[1];
  return [rootCause, message, sentence, exception].filter((saying) => saying !== undefined);
}

/** What systemd and Tomcat say in the journal, newest first. */
function unitSayings(journal: string): Saying[] {
  const lines = journal
    .split('\n')
    .filter((line) => /^SEVERE: |OutOfMemoryError|code=(?:killed|dumped)|oom-kill|OOM killer/.test(line));
  return lines.map((line) => line.replace(/^SEVERE: /, '')).toReversed();
}

/** A saying on one line, without markup, and not longer than a person reads. */
function plain(saying: Saying): Saying {
  const text = saying
    .replaceAll(/<[^>]*>/g, ' ')
    .replaceAll(/\s+/g, ' ')
    .replace(/[\s:]+$/, '')
    .trim();
  return text.length > 300 ? `${text.slice(0, 299)}…` : text;
}
