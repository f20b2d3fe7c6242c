/** The steps of a repair, in their order. */
import { X509Certificate } from 'node:crypto';
import { withCertmonger } from '../../certmonger/bus.ts';
import { MONITORING, trackingRequests, untrack } from '../../certmonger/tracking.ts';
import { INSTANCE, type SystemCertificate } from '../../dogtag/certificates.ts';
import { stopInstance } from '../../dogtag/destroy.ts';
import { SERVER_PROFILE } from '../../dogtag/enroll.ts';
import { applySettings, hasSettings } from '../../dogtag/relaxed.ts';
import { refreshConfigurations, refreshInternalToken } from '../../dogtag/renewed.ts';
import { requestTlsCertificate, TLS_NICKNAME, tlsCertificate } from '../../dogtag/tls-certificate.ts';
import { failure } from '../../errors.ts';
import type { Host } from '../../host/host.ts';
import { isActive, start } from '../../host/services.ts';
import type { JournalFile } from '../../plan/journal.ts';
import type { Step } from '../../plan/step.ts';
import { restoreCa, serverProblems, startDirectory } from '../recovery.ts';
import { isFromElsewhere, systemCertificates } from '../renewal/cluster.ts';
import { issueRenewal } from '../renewal/issue.ts';
import { renewedHere, sameSerial } from '../renewal/keeper.ts';
import { endsSoon, type OwnCertificate, ownCertificates } from '../renewal/own.ts';
import { placeCertificates } from '../renewal/place.ts';
import { placedAs, recordPlaced } from '../renewal/record.ts';
import { directoryOf, type Site } from '../site.ts';
import { trackOne } from '../steps/tracking.ts';
import { authorityCertificate, bridgeIn, requireAuthority } from './authority.ts';
import { dogtagRuns, relaxation, settingsBefore, startDogtag } from './dogtag.ts';
import { requireTurn, sharedCertificates } from './shared.ts';
import { removeRepairAgent, wayToCa, withRepairAgent } from './way.ts';

const CERTMONGER = 'certmonger.service';

/**
 * The steps by which an expired server comes back. The order is that of what needs what: a CA that has expired itself comes
 * first, the agent is renewed by the CA that runs in spite of all, the directory and the TLS server by the agent, the rest by certmonger over TLS that verifies.
 * @param journal undefined for a plan that is only shown
 */
export function repairSteps(
  host: Host,
  site: Site,
  hasKra: boolean,
  journal: () => JournalFile | undefined,
): Step[] {
  const [agent, directory] = ownCertificates(host, site) as [OwnCertificate, OwnCertificate];
  return [
    servicesRun(host, site),
    relaxation(host, async () => {
      await requireAuthority(host, site);
      await requireTurn(host, site, hasKra);
    }),
    authorityCertificate(host, site),
    dogtagRuns(host, site, hasKra),
    agentCertificate(host, site, agent),
    directoryCertificate(host, directory),
    tlsServer(host, site, hasKra),
    sharedCertificates(host, site, hasKra, () => bridgeIn(journal())),
    placement(host, site, hasKra, journal),
    watched(host, hasKra),
  ];
}

/** What a repair needs and expired certificates do not keep from running. */
function servicesRun(host: Host, site: Site): Step {
  const well = async () =>
    !(await serverProblems(host, site, { directory: true, ca: false })).directory &&
    (await isActive(host, CERTMONGER));
  return {
    id: 'services',
    title: `Have the directory ${directoryOf(site).name} and certmonger run`,
    transient: true,
    done: well,
    async apply({ line }) {
      const { directory } = await serverProblems(host, site, { directory: true, ca: false });
      if (directory) await startDirectory(host, site, line);
      await start(host, CERTMONGER);
    },
    undo: async () => {},
  };
}

function agentCertificate(host: Host, site: Site, agent: OwnCertificate): Step {
  return {
    id: 'agent',
    title: `Renew ${agent.title}`,
    done: async () => !endsSoon(await agent.current()),
    async apply() {
      const way = await wayToCa(host);
      await withRepairAgent(host, site, (account) => agent.renew({ ...way, account }));
    },
    undo: () => removeRepairAgent(host, site),
  };
}

function directoryCertificate(host: Host, directory: OwnCertificate): Step {
  return {
    id: 'directory',
    title: `Renew ${directory.title}`,
    done: async () => !endsSoon(await directory.current()),
    async apply() {
      await directory.renew(await wayToCa(host));
    },
    undo: async () => {},
  };
}

/** The TLS server's certificate is put in place before the others: certmonger's helper trusts no expired one. */
function tlsServer(host: Host, site: Site, hasKra: boolean): Step {
  const known = systemCertificates().find(({ nickname }) => nickname === TLS_NICKNAME) as SystemCertificate;
  return {
    id: 'tls-server',
    title: `Renew "${TLS_NICKNAME}", and start Dogtag with it`,
    async done() {
      const certificate = await tlsCertificate(host, INSTANCE);
      return !endsSoon(certificate) && (await isWatched(host, known, certificate));
    },
    async apply({ line }) {
      const current = await tlsCertificate(host, INSTANCE);
      const renewed = endsSoon(current) ? await issueTls(host, site, current) : current;
      line("Stopping Dogtag's Tomcat");
      await stopInstance(host, INSTANCE);
      await refreshInternalToken(host, INSTANCE, [
        { nickname: TLS_NICKNAME, certificate: renewed, trust: undefined },
      ]);
      await refreshConfigurations(host, INSTANCE, [renewed]);
      await watchAnew(host, site, known);
      await startDogtag(host, site, hasKra, line);
    },
    undo: async () => {},
  };
}

async function issueTls(host: Host, site: Site, current: X509Certificate): Promise<X509Certificate> {
  const request = await requestTlsCertificate(host, INSTANCE, current);
  return issueRenewal(host, site, { request, current, profile: SERVER_PROFILE }, await wayToCa(host));
}

async function isWatched(
  host: Host,
  { id }: SystemCertificate,
  { serialNumber }: X509Certificate,
): Promise<boolean> {
  const requests = await withCertmonger(host, trackingRequests);
  return requests.some((request) => request.id === id && sameSerial(request.serial, serialNumber));
}

/** Has certmonger read a certificate that was renewed without it. */
async function watchAnew(host: Host, site: Site, certificate: SystemCertificate): Promise<void> {
  await withCertmonger(host, async (certmonger) => {
    const old = (await trackingRequests(certmonger)).find(({ id }) => id === certificate.id);
    if (old) await untrack(certmonger, old);
    await trackOne(host, certmonger, site, certificate);
    const found = (await trackingRequests(certmonger)).find(({ id }) => id === certificate.id);
    const renewed = new Date().toISOString();
    if (found) await recordPlaced({ [certificate.id]: { ...placedAs(found), renewed } });
  });
}

/** With Dogtag stopped, everything gets the new certificates, and Dogtag is as strict as before from then on. */
function placement(host: Host, site: Site, hasKra: boolean, journal: () => JournalFile | undefined): Step {
  const strict = () => {
    const file = journal();
    return file ? settingsBefore(file) : {};
  };
  return {
    id: 'place',
    title: 'Put all in place, take the temporary settings back, and start Dogtag',
    done: async () => (await renewedHere(host)).length === 0 && (await hasSettings(INSTANCE, strict())),
    async apply({ line }) {
      const tighten = () => applySettings(host, INSTANCE, strict());
      const renewed = await renewedHere(host);
      if (renewed.length > 0) return placeCertificates(host, site, renewed, line, tighten);
      await stopInstance(host, INSTANCE);
      await tighten();
      await restoreCa(host, site, line, hasKra);
    },
    undo: async () => {},
  };
}

function watched(host: Host, hasKra: boolean): Step {
  return {
    id: 'watched',
    title: 'Look whether certmonger watches all of them',
    transient: true,
    done: async () => false,
    async apply() {
      const requests = await withCertmonger(host, trackingRequests);
      for (const { id, nickname } of systemCertificates(hasKra)) {
        const request = requests.find((one) => one.id === id);
        if (request?.status === MONITORING && !request.caError) continue;
        // Near its end certmonger is told that another authority renews it, and says so from then on.
        if (request?.certificate && isFromElsewhere(new X509Certificate(request.certificate))) continue;
        throw failure(
          'tracking-not-monitoring',
          `certmonger does not watch "${nickname}" as it should: ${request?.caError ?? request?.status ?? 'it has no request for it'}`,
          `Look at "getcert list -i ${id}". The server works; "capstan renew" tries again.`,
        );
      }
    },
    undo: async () => {},
  };
}
