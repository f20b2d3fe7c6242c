/** The service that keeps feeds going where 389-ds stops to send after a large change; see directory/feed-keeper.ts. */
import { withLocalDirectory } from '../directory/client.ts';
import { needsFeedKeeper, renewSentFeeds, type SentBefore } from '../directory/feed-keeper.ts';
import { type DirectoryInstance, instanceUnit } from '../directory/instance.ts';
import { isInterruption, sentenceOf } from '../errors.ts';
import { assetPath } from '../host/assets.ts';
import { pathExists, removeFile, writeFileAtomically } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { disable, enable, restart, stop } from '../host/services.ts';
import { pause } from '../host/wait.ts';

/** The unit of the service. */
export const FEED_KEEPER = 'capstan-feed-keeper.service';
const UNIT_FILE = `/etc/systemd/system/${FEED_KEEPER}`;

/** Milliseconds between two looks; as long can a feed stand still. */
const INTERVAL = 3000;

/** Whether the service is on this host. */
export function hasFeedKeeper(): Promise<boolean> {
  return pathExists(UNIT_FILE);
}

/**
 * Starts the service, now and at boot, where the 389-ds of this host needs it; it may be there already.
 * @returns whether it is needed
 * @throws CapstanError `command-failed`, `command-deadline`
 */
export async function addFeedKeeper(host: Host, instance: DirectoryInstance): Promise<boolean> {
  if (!(await needsFeedKeeper(host))) return false;
  await writeFileAtomically(UNIT_FILE, unitFile(instance));
  await enable(host, FEED_KEEPER);
  await restart(host, FEED_KEEPER);
  return true;
}

/** Ends the service and removes it; that there is none is no error. @throws CapstanError `command-failed` */
export async function removeFeedKeeper(host: Host): Promise<void> {
  if (!(await hasFeedKeeper())) return;
  await stop(host, FEED_KEEPER);
  await disable(host, FEED_KEEPER);
  await removeFile(UNIT_FILE);
  await host.run('systemctl', ['daemon-reload']);
}

function unitFile(instance: DirectoryInstance): string {
  return `# Written by Capstan: this release of 389-ds stops to send after a large change; see "capstan feed-keeper --help".
[Unit]
Description=Capstan, keeping the replication of ${instance.name} going
After=${instanceUnit(instance)}

[Service]
ExecStart=${assetPath('bin/capstan')} feed-keeper ${instance.name}
Restart=on-failure
RestartSec=10
SuccessExitStatus=130 143

[Install]
WantedBy=multi-user.target
`;
}

/**
 * Looks after the feeds of an instance until the run is interrupted, or at once no longer where its 389-ds needs no
 * such care. An instance that is down is waited for.
 * @param tell told when the care begins, and when the directory stops and begins to answer
 */
export async function keepFeeds(
  host: Host,
  instance: Pick<DirectoryInstance, 'name'>,
  tell: (line: string) => void,
): Promise<void> {
  if (!(await needsFeedKeeper(host))) {
    tell('This release of 389-ds needs no feed keeper.');
    return;
  }
  const before: SentBefore = new Map();
  let told = '';
  for (;;) {
    try {
      await withLocalDirectory(host, instance, async (directory) => {
        for (;;) {
          await renewSentFeeds(directory, before);
          tellOnce(`Keeping the feeds of ${instance.name} going.`);
          await pause(host, INTERVAL, 'the next look at the feeds');
        }
      });
    } catch (error) {
      if (isInterruption(error)) return;
      tellOnce(`Waiting for the directory: ${sentenceOf(error)}`);
      await pause(host, INTERVAL, 'the directory').catch(() => {});
    }
  }

  function tellOnce(line: string): void {
    if (line !== told) tell(line);
    told = line;
  }
}
