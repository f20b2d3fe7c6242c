/**
 * Having an instance start although its certificates have expired: what `pki-server cert-fix` of Dogtag does, too. A self
 * test that fails is told and no longer the end, and the directory on the same host is reached without TLS, because Dogtag
 * would not take its expired certificate. For the time of a repair only.
 */
import { readdir, readFile } from 'node:fs/promises';
import { failure } from '../errors.ts';
import { editFile, pathExists } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { isActive } from '../host/services.ts';
import { instanceUnit } from './destroy.ts';
import { instanceConfiguration } from './nssdb.ts';

/** Settings of one CS.cfg, by their names. */
export type Settings = Readonly<Record<string, string>>;
/** Settings of an instance, by the folders of its subsystems: `ca`. */
export type InstanceSettings = Readonly<Record<string, Settings>>;

/** What each setting is for the time of a repair (CS.cfg of 10.10.2 to 11). */
const RELAXED: Readonly<Record<string, (value: string) => string>> = {
  'selftests.container.order.startup': (value) => value.replaceAll(/\s*:\s*critical\b/g, ''),
  'internaldb.ldapconn.port': () => '389',
  'internaldb.ldapconn.secureConn': () => 'false',
};

/** Those of the settings that a CS.cfg has and that are otherwise during a repair, with their values. */
export function strictSettings(text: string): Settings {
  return Object.fromEntries(
    text.split('\n').flatMap((line) => {
      const at = line.indexOf('=');
      const [key, value] = [line.slice(0, at), line.slice(at + 1)];
      const relaxed = at > 0 && Object.hasOwn(RELAXED, key) ? RELAXED[key]?.(value) : value;
      return relaxed === value ? [] : [[key, value]];
    }),
  );
}

/** The same settings as they are for the time of a repair. */
export function relaxedSettings(strict: Settings): Settings {
  return Object.fromEntries(
    Object.entries(strict).map(([key, value]) => [key, RELAXED[key]?.(value) ?? value]),
  );
}

/** The text of a CS.cfg with other values of settings that it has. */
export function withSettings(text: string, settings: Settings): string {
  const lines = text.split('\n').map((line) => {
    const key = line.slice(0, Math.max(0, line.indexOf('=')));
    return Object.hasOwn(settings, key) ? `${key}=${settings[key]}` : line;
  });
  return lines.join('\n');
}

/** What a repair will change in the configurations of an instance, as it is now; see {@link applySettings}. */
export async function strictConfiguration(instance: string): Promise<InstanceSettings> {
  const found: Record<string, Settings> = {};
  for (const [name, file] of await configurations(instance)) {
    const strict = strictSettings(await readFile(file, 'utf8'));
    if (Object.keys(strict).length > 0) found[name] = strict;
  }
  return found;
}

/**
 * Puts settings into the configurations of an instance.
 * @throws CapstanError `dogtag-running`: Dogtag writes its configuration from memory and would undo this
 */
export async function applySettings(host: Host, instance: string, settings: InstanceSettings): Promise<void> {
  if (await isActive(host, instanceUnit(instance))) {
    throw failure('dogtag-running', `${instanceUnit(instance)} runs; its configuration cannot be changed.`);
  }
  for (const [name, file] of await configurations(instance)) {
    const own = settings[name];
    if (own) await editFile(file, (text) => withSettings(text, own));
  }
}

/** Whether the configurations of an instance have these settings. */
export async function hasSettings(instance: string, settings: InstanceSettings): Promise<boolean> {
  for (const [name, file] of await configurations(instance)) {
    const text = await readFile(file, 'utf8');
    if (withSettings(text, settings[name] ?? {}) !== text) return false;
  }
  return true;
}

/** The CS.cfg of each subsystem, by the name of its folder. */
async function configurations(instance: string): Promise<[name: string, file: string][]> {
  const folder = instanceConfiguration(instance);
  const found: [string, string][] = [];
  for (const name of await readdir(folder)) {
    const file = `${folder}/${name}/CS.cfg`;
    if (await pathExists(file)) found.push([name, file]);
  }
  return found;
}
