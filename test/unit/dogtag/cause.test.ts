/** The cause of a failure, from what Dogtag 10.10.2 really wrote when its HSM, its directory or its Tomcat was taken away. */
import { describe, expect, test } from 'vitest';
import { causeOf, type DogtagWords } from '../../../src/dogtag/cause.ts';

const SILENT: DogtagWords = { debug: '', selftests: '', journal: '', output: '' };

function cause(words: Partial<DogtagWords>) {
  return causeOf({ ...SILENT, ...words });
}

/** The HSM was stopped before pkispawn had a key made. */
const HSM_STOPPED = `2026-11-22 06:37:12 [main] INFO: CA engine started
2026-11-22 06:37:16 [https-jsse-nio-8443-exec-1] INFO: SystemConfigService: setting up signing certificate
2026-11-22 06:37:16 [https-jsse-nio-8443-exec-1] SEVERE: Configuration failed: No such token: capstan-hsm
org.mozilla.jss.NoSuchTokenException: No such token: capstan-hsm
	at org.mozilla.jss.CryptoManager.getTokenByName(CryptoManager.java:186)
	at java.base/java.lang.Thread.run(Thread.java:829)

2026-11-22 06:37:16 [https-jsse-nio-8443-exec-1] SEVERE: Servlet.service() for servlet [Resteasy] in context with path [/ca] threw exception
org.jboss.resteasy.spi.UnhandledException: org.mozilla.jss.NoSuchTokenException: No such token: capstan-hsm
	at org.jboss.resteasy.core.ExceptionHandler.handleApplicationException(ExceptionHandler.java:78)
Caused by: org.mozilla.jss.NoSuchTokenException: No such token: capstan-hsm
	at org.mozilla.jss.CryptoManager.getTokenByName(CryptoManager.java:186)
`;

/** An audit event of a Tomcat that stops: it stands after, and above, every true cause. */
const AUDIT = `2026-11-22 06:28:49 [Thread-15] SEVERE: LogFile: Attempt to log message "/var/lib/pki/pki-tomcat/logs/ca/signedAudit/ca_audit" to closed log file 0.Thread-15 - [22/Nov/2026:06:28:49 UTC] [14] [6] [AuditEvent=CLIENT_ACCESS_SESSION_TERMINATED][ClientHost=10.77.0.11][Outcome=Success] access session terminated
2026-11-22 06:29:03 [main] SEVERE: LogFile: Attempt to log message "/var/lib/pki/pki-tomcat/logs/ca/signedAudit/ca_audit" to closed log file 0.main - [22/Nov/2026:06:29:03 UTC] [14] [6] [AuditEvent=CLIENT_ACCESS_SESSION_TERMINATED][ClientHost=10.77.0.11]
`;

/** Every installation has these: the directory is restarted for its certificate, and two threads of the CA complain. */
const MONITORS = `2026-11-22 06:26:48 [profileChangeMonitor] SEVERE: Profile change monitor: Caught exception: netscape.ldap.LDAPException: Server or network error (81)
2026-11-22 06:26:48 [AuthorityMonitor] SEVERE: Unable to create socket: org.mozilla.jss.ssl.SSLSocketException: Unable to connect: (-5961) TCP connection reset by peer.
2026-11-22 06:26:48 [AuthorityMonitor] SEVERE: LdapBoundConnFactory: Unable to connect to LDAP server: Unable to create socket: org.mozilla.jss.ssl.SSLSocketException: Unable to connect: (-5961) TCP connection reset by peer.
`;

/** What pkispawn prints when the subsystem answers with an error. */
const HTML = `INFO: Setting up signing certificate
Installation failed:
<!doctype html><html lang="en"><head><title>HTTP Status 500 – Internal Server Error</title><style type="text/css">body {font-family:Tahoma,Arial,sans-serif;}</style></head><body><h1>HTTP Status 500 – Internal Server Error</h1><hr class="line" /><p><b>Type</b> Exception Report</p><p><b>Message</b> org.mozilla.jss.crypto.TokenException: Keypair Generation failed on token with error: -8190 : </p><p><b>Description</b> The server encountered an unexpected condition that prevented it from fulfilling the request.</p><p><b>Exception</b></p><pre>org.jboss.resteasy.spi.UnhandledException: org.mozilla.jss.crypto.TokenException: Keypair Generation failed on token with error: -8190 : 
	org.jboss.resteasy.core.ExceptionHandler.handleApplicationException(ExceptionHandler.java:78)
</pre><p><b>Root Cause</b></p><pre>org.mozilla.jss.crypto.TokenException: Keypair Generation failed on token with error: -8190 : 
	org.mozilla.jss.pkcs11.PK11KeyPairGenerator.generateRSAKeyPairWithOpFlags(Native Method)
`;

describe('the HSM', () => {
  test('that is away before a key is made', () => {
    expect(cause({ debug: HSM_STOPPED })).toMatchObject({
      message:
        'Dogtag does not find the token capstan-hsm ("Configuration failed: No such token: capstan-hsm")',
      next: expect.stringContaining('HSM'),
    });
  });

  test('that goes away while keys are made, by the debug log or by the page that pkispawn prints', () => {
    const debug =
      '2026-11-22 06:38:19 [https-jsse-nio-8443-exec-1] SEVERE: Configuration failed: Keypair Generation failed on token with error: -8190 : \n';
    expect(cause({ debug })?.message).toBe(
      'the token made no key ("Configuration failed: Keypair Generation failed on token with error: -8190")',
    );
    expect(cause({ output: HTML })?.message).toBe(
      'the token made no key ("org.mozilla.jss.crypto.TokenException: Keypair Generation failed on token with error: -8190")',
    );
  });

  test('that goes away before a login, which looks like a PIN that is refused', () => {
    const debug =
      '2026-11-22 07:04:38 [https-jsse-nio-8443-exec-1] SEVERE: Configuration failed: unable to login to token\n';
    expect(cause({ debug })).toMatchObject({
      message: 'the token did not let Dogtag in ("Configuration failed: unable to login to token")',
      next: expect.stringContaining('PIN'),
    });
  });

  test('that is lost by a CA that runs', () => {
    const debug =
      '2026-11-22 06:28:30 [http-nio-8080-exec-14] SEVERE: sign OCSP response Signing operation failed: (-8152) The key does not support the requested operation.\n';
    expect(cause({ debug })?.message).toContain('the token made no signature');
  });

  test('that is away when Tomcat starts', () => {
    const debug = `2026-11-22 06:28:58 [main] SEVERE: Unable to start CA engine: Token capstan-hsm not found
2026-11-22 06:28:58 [SerialNumberUpdateTask] SEVERE: DBRegistry: attribute serialno is not registered
2026-11-22 06:29:03 [main] SEVERE: Exception sending context initialized event to listener instance of class [org.dogtagpki.server.ca.CAEngine]
Caused by: org.mozilla.jss.NoSuchTokenException: No such token: capstan-hsm
${AUDIT}`;
    expect(cause({ debug })?.message).toBe(
      'Dogtag does not find the token capstan-hsm ("Unable to start CA engine: Token capstan-hsm not found")',
    );
  });
});

describe('the directory', () => {
  test.each([
    'Configuration failed: Unable to read LDAP record: Unable to create socket: org.mozilla.jss.ssl.SSLSocketException: Unable to connect: (-5961) TCP connection reset by peer.',
    'Unable to start CA engine: Password test execution failed. Is the database up?',
  ])('that is away, in the debug log: %s', (saying) => {
    const { message } = cause({ debug: `2026-11-22 06:40:01 [main] SEVERE: ${saying}\n` }) ?? {};
    expect(message).toBe(`Dogtag does not reach its directory ("${saying}")`);
  });

  test('that is away from a tool of pkispawn, which writes to no log', () => {
    const output = `INFO: Importing /usr/share/pki/server/conf/schema.ldif
SEVERE: Unable to update cn=schema: Unable to create socket: org.mozilla.jss.ssl.SSLSocketException: Unable to connect: (-5961) TCP connection reset by peer.
java.lang.Exception: Unable to update cn=schema: Unable to create socket: org.mozilla.jss.ssl.SSLSocketException: Unable to connect: (-5961) TCP connection reset by peer.
ERROR: CalledProcessError: Command '['/sbin/runuser', '-u', 'pkiuser', '--', '/usr/share/pki/java-home/bin/java']' returned non-zero exit status 255.
Installation failed: Command failed: /sbin/runuser -u pkiuser -- /usr/share/pki/java-home/bin/java
`;
    expect(cause({ output })?.message).toMatch(
      /^Dogtag does not reach its directory \("Unable to update cn=schema/,
    );
  });
});

describe('Tomcat', () => {
  test('that was killed: pkispawn says only that the connection ended, the journal why', () => {
    const output = `INFO: Setting up ocsp_signing certificate
Installation failed: ('Connection aborted.', RemoteDisconnected('Remote end closed connection without response'))
`;
    const journal = `pki-tomcatd@pki-tomcat.service: Main process exited, code=killed, status=9/KILL
pki-tomcatd@pki-tomcat.service: Failed with result 'signal'.
`;
    expect(cause({ output, journal })?.message).toMatch(/^Tomcat was ended by a signal \(9\/KILL\)/);
    expect(cause({ output })).toEqual({
      message: "('Connection aborted.', RemoteDisconnected('Remote end closed connection without response'))",
    });
  });
});

describe('self-tests', () => {
  const line = (text: string) => `0.main - [22/Nov/2026:07:30:40 UTC] [20] [1] ${text}\n`;

  test('that succeed are no cause', () => {
    const selftests =
      line('CAPresence:  CA is present') +
      line('SystemCertsVerification: system certs verification success') +
      line('SelfTestSubsystem: All CRITICAL self test plugins ran SUCCESSFULLY at startup!');
    expect(cause({ selftests })).toBeUndefined();
  });

  test('that fail: what one found comes before that it was a critical one', () => {
    const selftests =
      line(
        'SystemCertsVerification: system certs verification failure: Certificate not found: HSM:lost cert',
      ) +
      line(
        'SelfTestSubsystem: The CRITICAL self test plugin called selftests.container.instance.SystemCertsVerification running at startup FAILED!',
      );
    expect(cause({ selftests })?.message).toBe(
      'SystemCertsVerification: system certs verification failure: Certificate not found: HSM:lost cert',
    );
  });

  test('that find a CA from the future', () => {
    expect(cause({ selftests: line('CAValidity:  CA is not yet valid') })).toMatchObject({
      message: expect.stringContaining('by the clock of this host the CA is not valid yet'),
      next: expect.stringContaining('clock'),
    });
  });
});

test('a file system that is full, and an archive of another pkispawn, as Python tells them', () => {
  const full =
    "OSError: [Errno 28] No space left on device: '/etc/dogtag/tomcat/pki-tomcat/ca/deployment.cfg' -> '/var/log/pki/pki-tomcat/ca/archive/spawn_deployment.cfg.20261122065241'";
  expect(cause({ output: `Traceback (most recent call last):\n${full}\n` })?.message).toBe(
    `a file system is full ("${full}")`,
  );
  const archive =
    "Exception: File '/var/log/pki/pki-tomcat/ca/archive/spawn_deployment.cfg.20261122071003' already exists!";
  expect(cause({ output: `${archive}\n` })?.message).toContain(
    'spawn_deployment.cfg.20261122071003 is there already',
  );
});

describe('noise', () => {
  test('audit events and threads that try again are no cause', () => {
    expect(cause({ debug: `${MONITORS}${AUDIT}` })).toBeUndefined();
  });

  test('noise after the true cause does not hide it', () => {
    expect(cause({ debug: `${HSM_STOPPED}${MONITORS}${AUDIT}` })).toEqual(cause({ debug: HSM_STOPPED }));
  });

  test('who says nothing gives no cause', () => {
    expect(cause({})).toBeUndefined();
    expect(cause({ output: 'INFO: Starting server\n' })).toBeUndefined();
  });
});

test('what nobody knows is told as Dogtag said it, on one line, without markup', () => {
  const debug = '2026-11-22 06:40:01 [main] SEVERE: Something <b>quite</b>\tnew: \n';
  expect(cause({ debug })).toEqual({ message: 'Something quite new' });
});
