/** The time of a cluster of three by the collection's site.yml, and by the same commands typed on the control host. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { failure } from '../../src/errors.ts';
import type { Host } from '../../src/host/host.ts';
import { labDown, labExec, labUp } from '../../src/lab/lab.ts';
import { DOMAIN } from '../../src/lab/settings.ts';
import { CONTROL, Control, USER } from '../../test/lab/playbooks/control.ts';
import { BUNDLE, HOME } from './task.ts';

const HOSTS = ['ca1', 'ca2', 'ca3'] as const;
/** Seconds that a cluster may take. */
const DEADLINE = 1500;

/** How a cluster of three is made. */
export type ManyWay = 'by hand' | 'by site.yml';

/**
 * Makes a cluster of three with KRAs on fresh hosts.
 * @returns the seconds that it took, without those of the lab
 * @throws CapstanError `bench-broken`
 */
export async function timedCluster(host: Host, lab: string, way: ManyWay): Promise<number> {
  await labDown(host, { lab });
  await labUp(host, { lab, hosts: [CONTROL, ...HOSTS], bundle: 'none' });
  const control = new Control(host, lab);
  await control.prepare({ bundle: BUNDLE, hosts: HOSTS, pipelining: true });
  const begun = performance.now();
  await (way === 'by hand' ? byHand(host, lab) : bySite(control));
  return (performance.now() - begun) / 1000;
}

async function bySite(control: Control): Promise<void> {
  const { exit, output } = await control.play('site');
  if (exit !== 0)
    throw failure('bench-broken', `site.yml ended with exit code ${exit}: ${output.slice(-2000)}`);
}

async function byHand(host: Host, lab: string): Promise<void> {
  const bundle = `/srv/${BUNDLE.split('/').at(-1)}`;
  const names = HOSTS.map((name) => `${name}.${DOMAIN}`);
  const script = readFileSync(join(HOME, 'scripts/by-hand.sh'), 'utf8');
  const argv = ['bash', '-c', script, 'by-hand', bundle, DOMAIN, USER, ...names];
  await labExec(host, lab, CONTROL, argv, { deadline: DEADLINE });
}
