/** What the configuration file of a CA, its CS.cfg, says that must agree with what is elsewhere. */
import { readFile } from 'node:fs/promises';
import { type KraConnector, kraConnectorIn } from './connector.ts';
import { type CrlGeneration, caConfiguration, crlGenerationIn } from './crl.ts';
import { instanceConfiguration } from './nssdb.ts';

/** A system certificate as CS.cfg has it. */
export interface ConfiguredCertificate {
  /** Without the token in front. */
  nickname: string;
  /** The name of its token; `internal` for the internal one. */
  token: string;
  /** DER in base64. */
  certificate: string;
}

/** The parts of a CS.cfg that are judged. */
export interface DogtagConfiguration {
  certificates: ConfiguredCertificate[];
  crl: CrlGeneration;
  connector: KraConnector;
}

/** Names that Dogtag gives to the internal token (`CryptoUtil.isInternalToken`). */
const INTERNAL = ['', 'internal', 'internal key storage token'];

/** The system certificates in the text of a CS.cfg: `ca.signing.cert`, `.nickname` and `.tokenname`, and so on. */
export function configuredCertificates(text: string): ConfiguredCertificate[] {
  const settings = new Map(
    text.split('\n').flatMap((line): [string, string][] => {
      const at = line.indexOf('=');
      return at > 0 ? [[line.slice(0, at), line.slice(at + 1).trim()]] : [];
    }),
  );
  return [...settings].flatMap(([key, certificate]) => {
    const [, tag] = /^(\w+\.\w+)\.cert$/.exec(key) ?? [];
    const nickname = settings.get(`${tag}.nickname`);
    if (tag === undefined || nickname === undefined || certificate === '') return [];
    const token = settings.get(`${tag}.tokenname`) ?? '';
    const isInternal = INTERNAL.includes(token.toLowerCase());
    return [
      {
        nickname: nickname.replace(/^[^:]*:/, ''),
        token: isInternal ? 'internal' : token,
        certificate,
      },
    ];
  });
}

/** The configuration of the CA of an instance, with the certificates of its KRA. @throws an ENOENT where there is no CA */
export async function dogtagConfiguration(instance: string): Promise<DogtagConfiguration> {
  const text = await readFile(caConfiguration(instance), 'utf8');
  const kra = await readFile(`${instanceConfiguration(instance)}/kra/CS.cfg`, 'utf8').catch(() => '');
  const own = configuredCertificates(text);
  // The KRA has copies of what it shares with the CA.
  const more = configuredCertificates(kra).filter(
    ({ nickname }) => !own.some((one) => one.nickname === nickname),
  );
  return { certificates: [...own, ...more], crl: crlGenerationIn(text), connector: kraConnectorIn(text) };
}
