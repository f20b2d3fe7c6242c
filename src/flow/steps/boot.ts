import { instanceUnit } from '../../directory/instance.ts';
import type { Host } from '../../host/host.ts';
import { disable, enable, isEnabled } from '../../host/services.ts';
import type { Step } from '../../plan/step.ts';
import { directoryOf, type Site } from '../site.ts';

/**
 * Has systemd start everything at boot. pkispawn says that it does, but Debian leaves `pki-tomcatd.target`
 * disabled, and the CA stays down after a reboot (seen with 10.10.2).
 */
export function startAtBoot(host: Host, site: Site): Step {
  const units = ['pki-tomcatd.target', instanceUnit(directoryOf(site)), 'certmonger.service'];
  const missing = async () => {
    const enabled = await Promise.all(units.map((unit) => isEnabled(host, unit)));
    return units.filter((_, index) => !enabled[index]);
  };
  return {
    id: 'start-at-boot',
    title: 'Have the services start at boot',
    done: async () => (await missing()).length === 0,
    async apply(report) {
      const added = await missing();
      await report.remember({ enabled: added });
      for (const unit of added) await enable(host, unit);
    },
    async undo(report) {
      for (const unit of (report.facts.enabled ?? []) as string[]) await disable(host, unit);
    },
  };
}
