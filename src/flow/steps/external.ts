import { createHash, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { selfSignedCaFile } from '../../directory/instance.ts';
import { withRemoteDirectory } from '../../directory/remote.ts';
import { CA_SIGNING_NICKNAME } from '../../dogtag/certificates.ts';
import { signingHash } from '../../dogtag/override.ts';
import { failure } from '../../errors.ts';
import { certificateRequest } from '../../external/request.ts';
import { removeFile, writeFileAtomically } from '../../host/files.ts';
import type { Host } from '../../host/host.ts';
import type { Module } from '../../hsm/module.ts';
import { protectionProblems } from '../../hsm/proof.ts';
import { rsaKey } from '../../hsm/public-key.ts';
import { selectToken } from '../../hsm/token.ts';
import { readJournal } from '../../plan/journal.ts';
import type { Step, StepReport } from '../../plan/step.ts';
import { pemOf } from '../../root/x509.ts';
import type { Secret } from '../../secret/secret.ts';
import { CERTIFICATE_STEP, REQUEST_FILE, type RequestFacts, requestOf } from '../external.ts';
import { chainIn } from '../external-certificates.ts';
import { directoryOf, REQUEST_STEP, SERVER_JOURNAL, type ServerSecrets, type Site } from '../site.ts';
import { onToken, purgeToken, withKeysRemembered } from '../token.ts';
import { tokenSigner } from '../token-signer.ts';
import type { TokenUndo } from './authority.ts';
import { DIRECTORY_MANAGER } from './join.ts';

/** Makes the key of the CA on the token, and the request that another authority is to sign. */
export function caRequest(
  host: Host,
  site: Site,
  secrets: () => Pick<ServerSecrets, 'token'>,
  undoToken: TokenUndo,
): Step {
  const keys = { token: site.token, nicknames: [CA_SIGNING_NICKNAME] };
  return {
    id: REQUEST_STEP,
    title: `Make the key of the CA on the token ${site.token.label}, and a request for its certificate`,
    done: async () => false,
    async apply(report) {
      const pin = secrets().token;
      await withKeysRemembered(host, { ...keys, pin }, report, () => makeKey(host, site, pin));
      await writeRequest(host, site, pin, report);
    },
    async undo(report) {
      await removeFile(REQUEST_FILE);
      if (undoToken.mode === 'keep') return;
      await purgeToken(host, { ...keys, pin: await undoToken.pin() }, report);
    },
  };
}

async function makeKey(host: Host, { token, keySize }: Site, pin: Secret): Promise<void> {
  const wish = { label: CA_SIGNING_NICKNAME, bits: keySize };
  await onToken(host, token, pin, (module, slot) => module.generateKeyPair(slot, wish));
}

async function writeRequest(host: Host, site: Site, pin: Secret, report: StepReport): Promise<void> {
  const { token, caSubject: subject, external } = site;
  const hash = await signingHash(site.override);
  const { facts, der } = await onToken(host, token, pin, async (module, slot) => {
    const { id, key } = await keyOn(module, slot, token.label);
    const signer = tokenSigner(module, slot, { id, key, hash });
    const request = await certificateRequest({ subject, key, profile: external?.profile }, signer);
    const { serial } = selectToken(await module.tokens(), token.label);
    return { facts: { subject, keyId: id, publicKey: pemKey(key), tokenSerial: serial }, der: request };
  });
  const fingerprint = createHash('sha256').update(der).digest('hex');
  const pem = pemOf('CERTIFICATE REQUEST', der);
  await writeFileAtomically(REQUEST_FILE, pem);
  await report.remember({ ...facts, fingerprint, request: pem } satisfies RequestFacts);
  report.line(`${REQUEST_FILE}: sha256:${fingerprint}`);
}

function pemKey(key: KeyObject): string {
  return key.export({ type: 'spki', format: 'pem' }).toString();
}

/** The key that was just made: there is one of its name, and it cannot leave the token. */
async function keyOn(module: Module, slot: number, label: string): Promise<{ id: string; key: KeyObject }> {
  const named = (await module.objects(slot)).filter((one) => one.label === CA_SIGNING_NICKNAME);
  const [key, ...others] = named.filter((one) => one.class === 'private-key');
  const open = named.find((one) => one.class === 'public-key' && one.id === key?.id);
  const problems = key ? protectionProblems(key) : ['is not there'];
  if (key && open?.modulus && open.exponent && others.length === 0 && problems.length === 0)
    return { id: key.id, key: rsaKey(open.modulus, open.exponent) };
  throw failure(
    'ca-key-unfit',
    `The token ${label} made a key that is not as it must be: it ${problems.join(', ') || 'is not alone, or its public half is not told'}.`,
    'See the settings and the policy of the HSM.',
  );
}

/** Takes in the certificate of the CA and those above it. Nothing of this host is changed by it but the journal. */
export function externalCertificate(files: readonly string[]): Step {
  return {
    id: CERTIFICATE_STEP,
    title: 'Take in the certificate of the CA, and those above it',
    done: async () => false,
    async apply(report) {
      const journal = await readJournal(SERVER_JOURNAL);
      const request = journal && requestOf(journal);
      if (!request) throw new Error('a certificate comes before its request');
      const { certificate, above } = await chainIn(files, request);
      await report.remember({ chain: [certificate, ...above].map(String).join('') });
      for (const one of above) report.line(`under ${one.subject.replaceAll('\n', ',')}`);
    },
    undo: async () => {},
  };
}

/** Tries the Directory Manager's password, which was chosen with the first stage, before anything is built with it. */
export function managerPassword(host: Host, site: Site, secrets: () => Pick<ServerSecrets, 'ds'>): Step {
  const instance = directoryOf(site);
  return {
    id: 'manager-password',
    title: "Try the Directory Manager's password",
    transient: true,
    done: async () => false,
    async apply() {
      const caCertificate = await readFile(selfSignedCaFile(instance), 'utf8');
      const as = { dn: DIRECTORY_MANAGER, password: secrets().ds };
      await withRemoteDirectory(host, { hostname: site.hostname, caCertificate, as }, (directory) =>
        directory.entry(instance.suffix, ['1.1']),
      );
    },
    undo: async () => {},
  };
}
