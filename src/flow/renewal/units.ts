/** The service that puts renewed certificates in place, and its timer. */

import { INSTANCE } from '../../dogtag/certificates.ts';
import { instanceUnit } from '../../dogtag/destroy.ts';
import { assetPath } from '../../host/assets.ts';
import { pathExists, removeFile, writeFileAtomically } from '../../host/files.ts';
import type { Host } from '../../host/host.ts';
import { disable, enable, start, stop } from '../../host/services.ts';

const FOLDER = '/etc/systemd/system';
/** The service; certmonger starts it when it has saved a certificate. */
export const RENEWAL_SERVICE = 'capstan-renewal.service';
/** Its timer. */
export const RENEWAL_TIMER = 'capstan-renewal.timer';

/** What certmonger runs when it has saved a renewed certificate: it must not wait for the service. */
export const AFTER_SAVING = `/bin/systemctl start --no-block ${RENEWAL_SERVICE}`;

/** The program that certmonger asks for certificates. */
export function helperCommand(): string {
  return `${assetPath('bin/capstan')} renewal-helper`;
}

/** Whether the timer is on this host. */
export function hasRenewalTimer(): Promise<boolean> {
  return pathExists(`${FOLDER}/${RENEWAL_TIMER}`);
}

/** Writes both units and starts the timer, now and at boot. @throws CapstanError `command-failed` */
export async function addRenewalUnits(host: Host): Promise<void> {
  await writeFileAtomically(`${FOLDER}/${RENEWAL_SERVICE}`, serviceFile());
  await writeFileAtomically(`${FOLDER}/${RENEWAL_TIMER}`, TIMER_FILE);
  await host.run('systemctl', ['daemon-reload']);
  await enable(host, RENEWAL_TIMER);
  await start(host, RENEWAL_TIMER);
}

/** Ends and removes both; that there are none is no error. @throws CapstanError `command-failed` */
export async function removeRenewalUnits(host: Host): Promise<void> {
  if (!(await hasRenewalTimer())) return;
  await stop(host, RENEWAL_TIMER);
  await stop(host, RENEWAL_SERVICE);
  await disable(host, RENEWAL_TIMER);
  for (const unit of [RENEWAL_TIMER, RENEWAL_SERVICE]) await removeFile(`${FOLDER}/${unit}`);
  await host.run('systemctl', ['daemon-reload']);
  // A run that failed would stay in the list of failed units.
  await host.run('systemctl', ['reset-failed', RENEWAL_SERVICE], { accept: [0, 1] });
}

function serviceFile(): string {
  return `# Written by Capstan; see "capstan renewal-keeper --help".
[Unit]
Description=Capstan, putting renewed certificates in place
After=${instanceUnit(INSTANCE)} certmonger.service

[Service]
Type=oneshot
ExecStart=${assetPath('bin/capstan')} renewal-keeper
SuccessExitStatus=130 143
`;
}

const TIMER_FILE = `# Written by Capstan: looks for renewed certificates that another server published, or that are not in place yet.
[Unit]
Description=Capstan, looking for renewed certificates

[Timer]
OnActiveSec=15min
OnUnitInactiveSec=1h
RandomizedDelaySec=5min

[Install]
WantedBy=timers.target
`;
