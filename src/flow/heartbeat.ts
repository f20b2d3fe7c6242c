/** The heartbeat: a timer that looks at the server's health and keeps the result as metrics for Prometheus. */
import { readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { refusal } from '../errors.ts';
import { metricsText } from '../health/metrics.ts';
import { CATALOGUE } from '../health/registry.ts';
import { assetPath } from '../host/assets.ts';
import { pathExists, removeFile, writeFileAtomically } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { disable, enable, isActive, restart, start, stop } from '../host/services.ts';
import { quoted } from '../names/quoted.ts';
import type { Health } from './health.ts';
import { installedServer, type Report, requireRoot } from './site.ts';

/** The units of the heartbeat. */
export const HEARTBEAT = { timer: 'capstan-heartbeat.timer', service: 'capstan-heartbeat.service' } as const;

const UNITS = '/etc/systemd/system';
const TIMER_FILE = `${UNITS}/${HEARTBEAT.timer}`;
const SERVICE_FILE = `${UNITS}/${HEARTBEAT.service}`;

/** Where the node exporter of Debian and Fedora reads metrics files (package prometheus-node-exporter). */
const EXPORTER_FOLDER = '/var/lib/prometheus/node-exporter';
const METRICS_FILE = `${EXPORTER_FOLDER}/capstan.prom`;

/** How often, and where to. */
export interface HeartbeatRequest {
  /** Minutes between two looks. */
  minutes: number;
  /** The metrics file; the node exporter's own folder unless told. */
  file: string | undefined;
}

/**
 * Starts the heartbeat, now and at boot, and has it look at once. One that is there is set anew.
 * @throws CapstanError `not-root`, `not-installed`, `metrics-file-unsuitable`, `metrics-folder-missing`, `command-failed`
 */
export async function startHeartbeat(host: Host, { minutes, file }: HeartbeatRequest): Promise<Report> {
  await installedServer();
  const metrics = await requireMetricsFile(file ?? METRICS_FILE);
  await forgetOtherFile(metrics);
  await writeFileAtomically(SERVICE_FILE, serviceText(metrics));
  await writeFileAtomically(TIMER_FILE, timerText(minutes));
  await enable(host, HEARTBEAT.timer);
  await restart(host, HEARTBEAT.timer);
  await start(host, HEARTBEAT.service);
  return {
    title: `The health of this server is looked at every ${minutes === 1 ? 'minute' : `${minutes} minutes`}.`,
    facts: [
      { name: 'Metrics', value: metrics },
      { name: 'Timer', value: HEARTBEAT.timer },
    ],
    next: [
      `Alert on capstan_health_faults, and on a capstan_health_last_run_timestamp_seconds that stands still.`,
    ],
  };
}

/** Ends the heartbeat and removes it with its metrics; that there is none is no error. @throws CapstanError `not-root` */
export async function stopHeartbeat(host: Host): Promise<Report> {
  requireRoot('Only root can end the heartbeat.');
  const removed = await removeHeartbeat(host);
  return {
    title: removed ? 'The heartbeat was ended and removed.' : 'There was no heartbeat on this host.',
    facts: [],
    next: [],
  };
}

/**
 * Removes the heartbeat; also what is left of one that was half made.
 * @returns whether there was anything
 * @throws CapstanError `command-failed`
 */
export async function removeHeartbeat(host: Host): Promise<boolean> {
  const there = await Promise.all([TIMER_FILE, SERVICE_FILE].map(pathExists));
  if (!there.includes(true)) return false;
  await forgetOtherFile(undefined);
  if (there[0]) {
    await disable(host, HEARTBEAT.timer);
    await stop(host, HEARTBEAT.timer);
  }
  if (await isActive(host, HEARTBEAT.service)) await stop(host, HEARTBEAT.service);
  for (const file of [TIMER_FILE, SERVICE_FILE]) await removeFile(file);
  await host.run('systemctl', ['daemon-reload']);
  return true;
}

/** Removes the metrics of the heartbeat that there is, unless the next one writes the same file. */
async function forgetOtherFile(next: string | undefined): Promise<void> {
  const unit = await readFile(SERVICE_FILE, 'utf8').catch(() => '');
  const [, file] = /--prometheus-file (\/\S+)$/m.exec(unit) ?? [];
  if (file !== undefined && file !== next) await removeFile(file);
}

/**
 * The path of a metrics file, if the node exporter would read it there (its textfile collector takes `*.prom`).
 * @throws CapstanError `metrics-file-unsuitable`, `metrics-folder-missing`
 */
export async function requireMetricsFile(path: string): Promise<string> {
  if (!/^\/[\w./-]+\.prom$/.test(path) || path.split('/').includes('..')) {
    throw refusal(
      'metrics-file-unsuitable',
      `${quoted(path)} cannot be a metrics file: an absolute path of letters, digits, ".", "-" and "_" is needed that ends in ".prom".`,
      `Give one in the folder that the node exporter reads: ${METRICS_FILE}.`,
    );
  }
  const folder = dirname(path);
  const isFolder = await stat(folder).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (isFolder) return path;
  throw refusal(
    'metrics-folder-missing',
    `There is no folder ${folder}.`,
    `Install the node exporter of Prometheus, or name a file in its --collector.textfile.directory with --file.`,
  );
}

/** Writes the metrics of a look; whoever reads the file sees the old ones or the new ones. */
export async function writeMetrics(file: string, health: Health): Promise<void> {
  await writeFileAtomically(file, metricsText(health, CATALOGUE), { mode: 0o644 });
}

/** A vendor's library may write anywhere below /var and /run, so that no more than this can be closed. */
const HARDENING = `NoNewPrivileges=yes
ProtectSystem=full
ProtectHome=read-only
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
RestrictSUIDSGID=yes
RestrictRealtime=yes
LockPersonality=yes
UMask=0077`;

function serviceText(file: string): string {
  return `# Written by Capstan; see "capstan heartbeat --help".
[Unit]
Description=Capstan, looking at the health of this server
After=network.target

[Service]
Type=oneshot
ExecStart=${assetPath('bin/capstan')} health --prometheus-file ${file}
# What is wrong stands in the metrics.
SuccessExitStatus=1
TimeoutStartSec=300
${HARDENING}
`;
}

function timerText(minutes: number): string {
  return `# Written by Capstan; see "capstan heartbeat --help".
[Unit]
Description=Capstan, looking at the health of this server every ${minutes} min

[Timer]
OnBootSec=2min
OnUnitActiveSec=${minutes}min
AccuracySec=1s

[Install]
WantedBy=timers.target
`;
}
