/** TLS to a server whose certificate is known though nobody vouches for it any more: exactly that one is trusted. */
import { X509Certificate } from 'node:crypto';
import { Agent } from 'node:https';
import { connect } from 'node:tls';

/**
 * An agent whose connections go to who shows exactly this certificate and has its key, expired or not. Nothing is sent
 * before that is sure.
 * @param certificate PEM
 * @param identity what is shown there, PEM
 */
export function pinnedAgent(certificate: string, identity: { cert?: string; key?: string } = {}): Agent {
  const expected = new X509Certificate(certificate);
  const agent = new Agent({ keepAlive: true });
  agent.createConnection = (options, connected) => {
    const { host, port } = options as { host: string; port: number };
    // Who it is, is judged below, before anybody else gets the connection.
    const socket = connect({ host, port, servername: host, rejectUnauthorized: false, ...identity });
    let told = false;
    const tell = (error: Error | null) => {
      if (told) return;
      told = true;
      if (error) socket.destroy();
      connected?.(error, socket);
    };
    socket.once('error', tell);
    socket.once('secureConnect', () => {
      const shown = socket.getPeerX509Certificate();
      const isExpected = shown?.raw.equals(expected.raw) ?? false;
      tell(isExpected ? null : new Error('another TLS certificate is shown there than the one of this host'));
    });
    return undefined;
  };
  return agent;
}
