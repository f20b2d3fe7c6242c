import { instanceUnit as directoryUnit } from '../../directory/instance.ts';
import { INSTANCE } from '../../dogtag/certificates.ts';
import { instanceUnit as dogtagUnit } from '../../dogtag/destroy.ts';
import { removeEmptyFolder, removeFile, writeFileAtomically } from '../../host/files.ts';
import type { Host } from '../../host/host.ts';
import { disable, enable, isEnabled } from '../../host/services.ts';
import type { Step } from '../../plan/step.ts';
import { addFeedKeeper, hasFeedKeeper, removeFeedKeeper } from '../feed-keeper.ts';
import { addRenewalUnits, hasRenewalTimer, removeRenewalUnits } from '../renewal/units.ts';
import { directoryOf, type Site } from '../site.ts';

const DROP_IN_FOLDER = `/etc/systemd/system/${dogtagUnit(INSTANCE)}.d`;
const DROP_IN = `${DROP_IN_FOLDER}/capstan.conf`;

/**
 * Has systemd start everything at boot, in order. pkispawn says that it does, but Debian leaves `pki-tomcatd.target`
 * disabled, and the CA stays down after a reboot; and nothing orders Tomcat after the directory, without which the CA
 * comes up dead while its unit says active (Dogtag 10.10.2 and later).
 */
export function startAtBoot(host: Host, site: Site, withCa = true): Step {
  const directory = directoryUnit(directoryOf(site));
  const units = [...(withCa ? ['pki-tomcatd.target'] : []), directory, 'certmonger.service'];
  return {
    id: 'start-at-boot',
    title: 'Have the services start at boot',
    done: async () => false,
    async apply(report) {
      const enabled = await Promise.all(units.map((unit) => isEnabled(host, unit)));
      const missing = units.filter((_, index) => !enabled[index]);
      // A run that was killed here has made some of it.
      const before = (report.facts.enabled ?? []) as string[];
      const keeperWasThere = report.facts.keeperWasThere ?? (await hasFeedKeeper());
      const timerWasThere = report.facts.timerWasThere ?? (await hasRenewalTimer());
      await report.remember({ enabled: [...before, ...missing], keeperWasThere, timerWasThere });
      if (withCa) await writeFileAtomically(DROP_IN, dropIn(directory));
      if (missing.length > 0) await enable(host, ...missing);
      else await host.run('systemctl', ['daemon-reload']);
      await addRenewalUnits(host);
      if (await addFeedKeeper(host, directoryOf(site))) report.line('The feeds are kept going by a service');
    },
    async undo(report) {
      // A server that keeps its directory still needs them.
      if (report.facts.timerWasThere === false) await removeRenewalUnits(host);
      if (report.facts.keeperWasThere === false) await removeFeedKeeper(host);
      for (const unit of (report.facts.enabled ?? []) as string[]) await disable(host, unit);
      if (withCa) {
        await removeFile(DROP_IN);
        await removeEmptyFolder(DROP_IN_FOLDER);
      }
      await host.run('systemctl', ['daemon-reload']);
    },
  };
}

function dropIn(directory: string): string {
  return `# Written by Capstan: the CA cannot start without its directory.\n[Unit]\nWants=${directory}\nAfter=${directory}\n`;
}
