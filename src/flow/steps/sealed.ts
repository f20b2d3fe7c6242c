/** The passwords of an externally signed CA, kept for its second stage: sealed in the first one, and forgotten in the end. */
import { randomBytes } from 'node:crypto';
import type { Host } from '../../host/host.ts';
import type { Module } from '../../hsm/module.ts';
import { makeSealingKey, sealingObjects } from '../../hsm/sealing.ts';
import { selectToken } from '../../hsm/token.ts';
import { readJournal } from '../../plan/journal.ts';
import type { Step, StepReport } from '../../plan/step.ts';
import { sealedFile } from '../../secret/sealed.ts';
import {
  KEPT_SECRETS,
  removeSealed,
  SEAL_STEP,
  SEALED_FILE,
  type SealingFacts,
  UNSEAL_STEP,
  writeSealed,
} from '../sealed.ts';
import { SERVER_JOURNAL, type ServerSecrets, type Site } from '../site.ts';
import { onToken } from '../token.ts';
import type { TokenUndo } from './authority.ts';

/** CKA_LABEL of the key pair, before what tells one from another. */
const KEY_LABEL = 'Capstan passwords';

/** Seals the passwords with a key pair that is made on the token for it, and is in the journal before it is there. */
export function sealPasswords(
  host: Host,
  { token, keySize, hostname }: Site,
  secrets: () => ServerSecrets,
  undoToken: TokenUndo,
): Step {
  return {
    id: SEAL_STEP,
    title: `Keep the passwords for the second stage, sealed by the token ${token.label}`,
    done: async () => false,
    async apply(report) {
      const { ds, admin, token: pin } = secrets();
      const keyId = randomBytes(20).toString('hex');
      const key = { keyId, keyLabel: `${KEY_LABEL} ${keyId.slice(0, 8)}` };
      await onToken(host, token, pin, async (module, slot) => {
        const { serial: tokenSerial } = selectToken(await module.tokens(), token.label);
        const facts = { ...key, tokenSerial, run: host.runId, host: hostname };
        await report.remember({ ...facts, purged: undefined } satisfies SealingFacts & { purged: undefined });
        const { plain, wrapped } = await makeSealingKey(module, slot, {
          ...{ id: keyId, label: key.keyLabel },
          bits: keySize,
        });
        const names = KEPT_SECRETS;
        await writeSealed(sealedFile(plain, wrapped, facts, { [names.ds]: ds, [names.admin]: admin }));
        plain.fill(0);
        report.line(`${SEALED_FILE}: AES-256-GCM, its key by RSA-OAEP with ${wrapped.hash}`);
      });
    },
    async undo(report) {
      await removeSealed();
      if (undoToken.mode === 'keep' || report.facts.keyId === undefined || report.facts.purged) return;
      const pin = await undoToken.pin();
      await onToken(host, token, pin, (module, slot) => deleteKey(module, slot, report));
      await report.remember({ purged: true });
    },
  };
}

async function deleteKey(module: Module, slot: number, { facts, line }: Pick<StepReport, 'facts' | 'line'>) {
  const { keyId: id, keyLabel: label } = facts as unknown as SealingFacts;
  const deleted = await module.deleteObjects(slot, sealingObjects({ id, label }));
  if (deleted.length > 0) line(`${deleted.length} objects of the key for the passwords deleted`);
}

/** Deletes the key pair, and then the passwords that nothing opens any more. There is no way back, and none needed. */
export function forgetPasswords(
  host: Host,
  { token }: Site,
  secrets: () => Pick<ServerSecrets, 'token'>,
): Step {
  return {
    id: UNSEAL_STEP,
    title: 'Forget the passwords that were kept, and delete their key from the token',
    done: async () => false,
    async apply({ line }) {
      const journal = await readJournal(SERVER_JOURNAL);
      const facts = journal?.entry(SEAL_STEP)?.facts;
      if (!facts) throw new Error('passwords are forgotten before they were kept');
      await onToken(host, token, secrets().token, (module, slot) => deleteKey(module, slot, { facts, line }));
      await removeSealed();
    },
    undo: async () => {},
  };
}
