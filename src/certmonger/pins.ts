/**
 * The PINs of tokens that certmonger keeps, in its own files. Each start of certmonger gives them to the tokens, once for
 * each request (0.79.13, `cm_iterate_entry_init`): an old PIN has to be replaced before, or a few starts lock the token.
 * So they are replaced in the files, while certmonger is down.
 */
import { readdir, readFile } from 'node:fs/promises';
import { editFile } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { start, stop } from '../host/services.ts';
import { Secret } from '../secret/secret.ts';

const REQUESTS = '/var/lib/certmonger/requests';
/** certmonger's own files are named by the time of their making; others are copies that somebody made. */
const OWN_FILE = /^[\d-]+$/;
const UNIT = 'certmonger.service';

/** A PIN that certmonger keeps for a tracking request. */
export interface KeptPin {
  /** The name of the request. */
  id: string;
  pin: Secret;
}

/** The PINs that certmonger keeps; none where it keeps nothing. */
export async function keptPins(): Promise<KeptPin[]> {
  const texts = await Promise.all(
    (await requestFiles()).map((file) => readFile(file, 'utf8').catch(() => '')),
  );
  return texts.flatMap((text) => {
    const [id, pin] = [fieldOf(text, 'id'), fieldOf(text, 'key_pin')];
    return id === undefined || pin === undefined
      ? []
      : [{ id, pin: new Secret(pin, `the PIN that certmonger keeps for ${id}`) }];
  });
}

/**
 * Has certmonger keep these PINs, by the names of the requests, and run with them.
 * @throws CapstanError `command-failed`
 */
export async function replacePins(host: Host, pins: readonly KeptPin[]): Promise<void> {
  await stop(host, UNIT);
  try {
    for (const file of await requestFiles()) {
      const id = fieldOf(await readFile(file, 'utf8'), 'id');
      const wanted = pins.find((one) => one.id === id);
      if (wanted) await editFile(file, (text) => withPin(text, wanted.pin));
    }
  } finally {
    await start(host, UNIT);
  }
}

/** The text of a request with another PIN. */
export function withPin(text: string, pin: Secret): string {
  return text.replace(/^key_pin=.*$/m, () => `key_pin=${pin.reveal()}`);
}

async function requestFiles(): Promise<string[]> {
  const names = await readdir(REQUESTS).catch(() => []);
  return names.filter((name) => OWN_FILE.test(name)).map((name) => `${REQUESTS}/${name}`);
}

function fieldOf(text: string, name: string): string | undefined {
  return new RegExp(`^${name}=(.*)$`, 'm').exec(text)?.[1];
}
