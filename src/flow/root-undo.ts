/** Takes a key ceremony back that did not come to its end. */
import { rm } from 'node:fs/promises';
import { failure, refusal, sentenceOf } from '../errors.ts';
import { pathExists, presentPaths } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import type { RootConfig } from '../root/config.ts';
import type { RootIndex } from '../root/index-file.ts';
import { loadIndex, withRoot } from './root-files.ts';
import { logIn, type PinGiver, withRootToken } from './root-token.ts';
import type { Report } from './site.ts';

/**
 * Takes back what a ceremony made that failed: the key by its id, then the files, the index last.
 * @param why what it failed of
 * @throws CapstanError `root-take-back`
 */
export async function takeBack(
  host: Host,
  config: RootConfig,
  pin: PinGiver,
  keyId: string,
  why: unknown,
): Promise<void> {
  try {
    await removeCeremony(host, config, pin, keyId);
  } catch (error) {
    throw failure(
      'root-take-back',
      `The ceremony failed (${sentenceOf(why)}), and what it made could not be taken back: ${sentenceOf(error)}`,
      'Try it again with: capstan root init --undo --config FILE',
      error,
    );
  }
}

/** @returns what was removed, for a report */
async function removeCeremony(
  host: Host,
  config: RootConfig,
  pin: PinGiver,
  keyId: string,
): Promise<string[]> {
  const deleted = await withRootToken(host, config, async (token) => {
    await logIn(token, pin);
    const { module, facts } = token;
    const mine = (await module.objects(facts.slot)).filter(
      ({ id, label }) => id === keyId && label === config.keyLabel,
    );
    return module.deleteObjects(facts.slot, mine);
  });
  const { certificate, transcript, index } = config.outputs;
  const files = await presentPaths([certificate, transcript, index]);
  for (const file of files) await rm(file, { force: true });
  return [...deleted.map((one) => `${one.class} ${one.id}`), ...files];
}

/**
 * Takes back what a ceremony left that was killed: its key, known by the id in the index, and its files.
 * @throws CapstanError `root-nothing-to-undo`, `root-exists`, `root-token-differs`, and those of {@link withRootToken} and {@link logIn}
 */
export async function rootUndo(host: Host, config: RootConfig, pin: PinGiver): Promise<Report> {
  return withRoot(config, async () => {
    const index = await undoable(config);
    await withRootToken(host, config, async ({ facts }) => {
      if (facts.serial === index.begun.token.serial) return;
      throw refusal(
        'root-token-differs',
        `The ceremony made its key on the token with the serial ${index.begun.token.serial}; this one has ${facts.serial}.`,
        'Put in the token of the ceremony.',
      );
    });
    const removed = await removeCeremony(host, config, pin, index.begun.key.id);
    return {
      title: 'What the ceremony left is taken back.',
      facts: removed.map((value) => ({ name: 'Removed', value })),
      next: [],
    };
  });
}

async function undoable(config: RootConfig): Promise<RootIndex> {
  if (!(await pathExists(config.outputs.index))) {
    const message = `There is no index ${config.outputs.index}: no ceremony was begun with this file.`;
    throw refusal('root-nothing-to-undo', message);
  }
  const index = await loadIndex(config.outputs.index);
  const { key } = index.begun;
  if (index.root) {
    throw refusal(
      'root-exists',
      `The ceremony of ${index.root.subject} came to its end; its root is not taken back.`,
      'To be rid of a root, delete its key with the tool of the HSM.',
    );
  }
  if (key.label === config.keyLabel) return index;
  throw refusal(
    'root-config-differs',
    `The ceremony made the key "${key.label}", and the ceremony file names "${config.keyLabel}".`,
    'Give the ceremony file as it was.',
  );
}
