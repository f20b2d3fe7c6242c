/** Dogtag while it runs in spite of expired certificates. */
import { setTimeout as sleep } from 'node:timers/promises';
import { INSTANCE } from '../../dogtag/certificates.ts';
import { instanceUnit, stopInstance } from '../../dogtag/destroy.ts';
import { checkProfiles, checkStatus } from '../../dogtag/health.ts';
import {
  applySettings,
  hasSettings,
  type InstanceSettings,
  relaxedSettings,
  strictConfiguration,
} from '../../dogtag/relaxed.ts';
import { enableSubsystem, isSubsystemEnabled } from '../../dogtag/subsystem.ts';
import { CapstanError, failure, isInterruption, sentenceOf } from '../../errors.ts';
import type { Host } from '../../host/host.ts';
import { restart } from '../../host/services.ts';
import { within } from '../../host/wait.ts';
import type { JournalFile } from '../../plan/journal.ts';
import type { Step } from '../../plan/step.ts';
import { dogtagOf, type Site } from '../site.ts';

/** The step that changes the configuration; its entry in the journal has the settings as they were. */
const RELAXED = 'relaxed';
/** Seconds between two looks at a CA that starts. */
const BETWEEN_LOOKS = 2;

/** Has Dogtag take its expired certificates from its next start on. @param look refuses where it is not to be done */
export function relaxation(host: Host, look: () => Promise<unknown>): Step {
  return {
    id: RELAXED,
    title: 'Have Dogtag start in spite of what has expired, for the time of the repair',
    done: async () => false,
    async apply({ line, remember }) {
      await look();
      line("Stopping Dogtag's Tomcat");
      await stopInstance(host, INSTANCE);
      const settings = await strictConfiguration(INSTANCE);
      await remember({ settings });
      const relaxed = Object.entries(settings).map(([name, strict]) => [name, relaxedSettings(strict)]);
      await applySettings(host, INSTANCE, Object.fromEntries(relaxed));
    },
    async undo({ line, facts }) {
      const settings = facts.settings as InstanceSettings | undefined;
      if (!settings || (await hasSettings(INSTANCE, settings))) return;
      line("Stopping Dogtag's Tomcat");
      await stopInstance(host, INSTANCE);
      await applySettings(host, INSTANCE, settings);
    },
  };
}

/** The settings of Dogtag as they were before the repair. */
export function settingsBefore(journal: JournalFile): InstanceSettings {
  return (journal.entry(RELAXED)?.facts.settings ?? {}) as InstanceSettings;
}

/** Has the CA answer; what it says of itself counts, because what it signs OCSP responses with has expired. */
export function dogtagRuns(host: Host, site: Site, hasKra: boolean): Step {
  return {
    id: 'running',
    title: 'Start Dogtag',
    transient: true,
    async done() {
      return (await problemOf(host, site)) === undefined;
    },
    apply: ({ line }) => startDogtag(host, site, hasKra, line),
    undo: async () => {},
  };
}

/**
 * Starts Dogtag with all its subsystems and waits until its CA answers and knows its profiles.
 * @throws CapstanError `ca-not-started`, `command-failed`, `interrupted`
 */
export async function startDogtag(
  host: Host,
  site: Site,
  hasKra: boolean,
  line: (text: string) => void,
): Promise<void> {
  for (const name of hasKra ? ['ca', 'kra'] : ['ca']) {
    if (!(await isSubsystemEnabled(INSTANCE, name))) await enableSubsystem(host, INSTANCE, name);
  }
  line("Starting Dogtag's Tomcat");
  await restart(host, instanceUnit(INSTANCE));
  let problem: unknown;
  try {
    await within(host, 'startup', `the CA at ${site.hostname}`, async (signal) => {
      for (;;) {
        problem = await problemOf(host, site);
        if (problem === undefined || signal.aborted) return;
        await sleep(BETWEEN_LOOKS * 1000, undefined, { signal });
      }
    });
  } catch (error) {
    if (isInterruption(error)) throw error;
    throw failure(
      'ca-not-started',
      `The CA at ${site.hostname} does not answer after its start: ${sentenceOf(problem ?? error)}`,
      `Look at the logs under /var/log/pki/${INSTANCE}.`,
      error,
    );
  }
}

async function problemOf(host: Host, { hostname }: Site): Promise<CapstanError | undefined> {
  try {
    const dogtag = await dogtagOf();
    await checkStatus(host, hostname, dogtag);
    await checkProfiles(host, hostname, dogtag.restPath);
    return undefined;
  } catch (error) {
    if (isInterruption(error) || !(error instanceof CapstanError)) throw error;
    return error;
  }
}
