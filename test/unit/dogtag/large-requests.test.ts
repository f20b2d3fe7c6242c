import { expect, test } from 'vitest';
import { withReadBuffer } from '../../../src/dogtag/large-requests.ts';

const SERVER = `<Server>
  <Connector name="Unsecure" port="8080" maxThreads="150"/>
  <Connector name="Secure" port="8443"
      SSLEnabled="true">
    <SSLHostConfig sslProtocol="SSL"/>
  </Connector>
</Server>
`;

test('the connector for TLS reads whole records, the other stays as it is', () => {
  const changed = withReadBuffer(SERVER);
  expect(changed).toBe(
    SERVER.replace('SSLEnabled="true">', 'SSLEnabled="true" socket.appReadBufSize="65536">'),
  );
  expect(withReadBuffer(changed)).toBe(changed);
});

test('another size is replaced', () => {
  const other = SERVER.replace('port="8443"', 'port="8443" socket.appReadBufSize="8192"');
  expect(withReadBuffer(other)).toBe(withReadBuffer(SERVER));
});
