/**
 * The entry for certmonger, which starts its helper often: nothing of the command line is loaded. What it prints is read by
 * certmonger, not by a person.
 */
import { answerCertmonger } from '../src/flow/renewal/helper.ts';

const LOG = '/var/log/capstan/renewal-helper.log';

/** Answers certmonger on standard output. @returns the exit code */
export async function runHelper(environment: NodeJS.ProcessEnv): Promise<number> {
  const { code, output } = await answerCertmonger(openMachine, environment);
  if (output !== '') process.stdout.write(`${output}\n`);
  return code;
}

/** This machine, with its log where it can be kept. */
async function openMachine() {
  const [{ openHost }, { noLog, openLog }] = await Promise.all([
    import('../src/host/host.ts'),
    import('../src/host/log.ts'),
  ]);
  const log = (() => {
    try {
      return openLog(LOG);
    } catch {
      return noLog;
    }
  })();
  const controller = new AbortController();
  process.once('SIGTERM', () => controller.abort());
  return openHost(log, controller.signal);
}
