/** What a Dogtag instance leaves that helps to find a fault, and the secrets that could stand in it. */
import { readdir } from 'node:fs/promises';
import { type Evidence, fileEvidence, filesEvidence, outputEvidence, textIfThere } from '../host/evidence.ts';
import { platform } from '../host/platform.ts';
import { secretAttributesOf, secretFieldsOf } from '../secret/fields.ts';
import { instanceUnit } from './destroy.ts';
import { instanceConfiguration, nssDatabase } from './nssdb.ts';

const MIB = 1024 * 1024;
const LOGS = '/var/log/pki';

/** The logs and the configuration of an instance with a CA, whether it was ever finished or not. */
export async function dogtagEvidence(instance: string): Promise<Evidence[]> {
  return [...(await logs(instance)), ...(await configuration(instance))];
}

async function logs(instance: string): Promise<Evidence[]> {
  const subsystem = `${LOGS}/${instance}/ca`;
  const kra = `${LOGS}/${instance}/kra`;
  const sets = await Promise.all([
    filesEvidence('dogtag/log/kra', 'the debug log of the KRA', kra, 'debug*', {
      newest: 3,
      limit: 4 * MIB,
    }),
    filesEvidence('dogtag/log/ca', 'the debug log of the CA', subsystem, 'debug*', {
      newest: 3,
      limit: 4 * MIB,
    }),
    filesEvidence('dogtag/log', 'what pkispawn did', LOGS, 'pki-*-spawn.*.log', { newest: 6 }),
    filesEvidence('dogtag/log', 'what pkidestroy did', LOGS, 'pki-*-destroy.*.log', { newest: 4 }),
    filesEvidence('dogtag/log', "Tomcat's own logs", `${LOGS}/${instance}`, '{catalina,localhost}.*', {
      newest: 6,
    }),
    filesEvidence('dogtag/log', 'requests to Tomcat', `${LOGS}/${instance}`, 'localhost_access_log.*.txt', {
      newest: 2,
    }),
    filesEvidence(
      'dogtag/log/ca/archive',
      'the deployment configurations that pkispawn used, without passwords',
      `${subsystem}/archive`,
      '*deployment.cfg.*',
      { form: 'fields', newest: 4 },
    ),
  ]);
  return [
    fileEvidence('dogtag/log/ca/selftests.log', "the CA's self tests", `${subsystem}/selftests.log`),
    fileEvidence('dogtag/log/kra/selftests.log', "the KRA's self tests", `${kra}/selftests.log`),
    fileEvidence('dogtag/log/ca/system', "the CA's system log", `${subsystem}/system`),
    fileEvidence('dogtag/log/ca/transactions', "the CA's transactions", `${subsystem}/transactions`),
    ...sets.flat(),
  ];
}

async function configuration(instance: string): Promise<Evidence[]> {
  const folder = instanceConfiguration(instance);
  const { dogtagRegistry, instanceEnvironment } = platform();
  const fields = { form: 'fields' } as const;
  return [
    fileEvidence('dogtag/conf/CS.cfg', 'the configuration of the CA', `${folder}/ca/CS.cfg`, fields),
    fileEvidence('dogtag/conf/kra/CS.cfg', 'the configuration of the KRA', `${folder}/kra/CS.cfg`, fields),
    fileEvidence('dogtag/conf/server.xml', "Tomcat's configuration", `${folder}/server.xml`, {
      form: 'xml',
    }),
    fileEvidence('dogtag/conf/tomcat.conf', "Tomcat's start", `${folder}/tomcat.conf`, fields),
    fileEvidence(
      'dogtag/conf/serverCertNick.conf',
      'the nickname of the TLS server certificate',
      `${folder}/serverCertNick.conf`,
    ),
    fileEvidence('dogtag/conf/ca.xml', 'how Tomcat runs the CA', `${folder}/Catalina/localhost/ca.xml`, {
      form: 'xml',
    }),
    fileEvidence(
      'dogtag/conf/pkcs11.txt',
      'the PKCS#11 modules of the NSS database',
      `${nssDatabase(instance)}/pkcs11.txt`,
    ),
    fileEvidence(
      'dogtag/conf/environment',
      'the environment of the instance',
      `${instanceEnvironment}/${instance}`,
      fields,
    ),
    fileEvidence(
      'dogtag/conf/registry',
      "the instance in Dogtag's registry",
      `${dogtagRegistry}/tomcat/${instance}/${instance}`,
      fields,
    ),
    fileEvidence(
      'dogtag/conf/deployment.cfg',
      'what the instance was deployed with',
      `${dogtagRegistry}/tomcat/${instance}/ca/deployment.cfg`,
      fields,
    ),
    fileEvidence('dogtag/VERSION', 'the release of Dogtag', '/usr/share/pki/VERSION'),
    outputEvidence(
      'dogtag/certificates.txt',
      'the certificates in the NSS database, seen without a password',
      ['certutil', '-L', '-d', nssDatabase(instance)],
    ),
    outputEvidence('dogtag/files.txt', 'the files of the instance, and whose they are', [
      ...(['ls', '-lAR', '--full-time'] as const),
      ...[folder, `/var/lib/pki/${instance}/conf`, `/var/lib/pki/${instance}/ca`, LOGS],
    ]),
  ];
}

/** The PKCS#11 libraries that the NSS database of an instance knows besides NSS's own. */
export async function moduleLibraries(instance: string): Promise<string[]> {
  const text = await textIfThere(`${nssDatabase(instance)}/pkcs11.txt`);
  return [...text.matchAll(/^library=(\/.+)$/gm)].map(([, path = '']) => path);
}

/** The unit of an instance, for systemctl(1). */
export function dogtagUnits(instance: string): string[] {
  return [instanceUnit(instance)];
}

/**
 * Every secret that Dogtag keeps in files: the passwords of its tokens and of the directory, Tomcat's AJP secret, and
 * what a deployment configuration may hold.
 */
export async function dogtagSecrets(instance: string): Promise<string[]> {
  const folder = instanceConfiguration(instance);
  const places = ['ca', 'kra'].flatMap((subsystem) => [
    `${LOGS}/${instance}/${subsystem}/archive`,
    `${platform().dogtagRegistry}/tomcat/${instance}/${subsystem}`,
  ]);
  const deployments = await Promise.all(
    places.map(async (place) =>
      (await readdir(place).catch(() => []))
        .filter((name) => name.includes('deployment.cfg'))
        .map((name) => `${place}/${name}`),
    ),
  );
  const texts = await Promise.all(
    [...deployments.flat(), `${folder}/ca/CS.cfg`, `${folder}/kra/CS.cfg`].map((path) => textIfThere(path)),
  );
  const tomcat = await textIfThere(`${folder}/server.xml`);
  return [
    ...passwordsOf(await textIfThere(`${folder}/password.conf`)),
    ...texts.flatMap(secretFieldsOf),
    ...secretAttributesOf(tomcat),
  ];
}

/** The passwords in a password.conf, whatever they are called: `internal=`, `hardware-HSM=`. */
export function passwordsOf(text: string): string[] {
  return text
    .split('\n')
    .filter((line) => line.includes('=') && !line.startsWith('#'))
    .map((line) => line.slice(line.indexOf('=') + 1))
    .filter((password) => password.trim() !== '');
}
