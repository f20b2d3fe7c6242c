import { createRequire } from 'node:module';
import type * as DBus from 'dbus-native';
import { failure, isInterruption, sentenceOf } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { within } from '../host/wait.ts';

const SERVICE = 'org.fedorahosted.certmonger';
const ROOT = '/org/fedorahosted/certmonger';
/** Where the system bus is unless DBUS_SYSTEM_BUS_ADDRESS says otherwise (D-Bus specification, "System message bus"). */
const SYSTEM_BUS = 'unix:path=/run/dbus/system_bus_socket';

/** A D-Bus argument list: its signature and its values. */
interface Arguments {
  signature: string;
  body: unknown[];
}

/** certmonger on the system bus (certmonger's `doc/api.txt`). */
export interface Certmonger {
  /** Calls a method of the daemon itself. */
  call<T>(method: string, parameters?: Arguments): Promise<T>;
  /** Calls a method of one request or CA. */
  callAt<T>(path: string, method: string, parameters?: Arguments): Promise<T>;
  /** All properties of the request at `path`. */
  properties(path: string): Promise<Record<string, unknown>>;
}

/** Wraps a string for `a{sv}`. */
export function text(value: string): unknown {
  return new (library().Variant)('s', value);
}

/** Wraps a whole number for `a{sv}`, as certmonger has its numbers: of 64 bits. */
export function integer(value: number): unknown {
  return new (library().Variant)('x', BigInt(value));
}

/** Wraps an object path for `a{sv}`. */
export function objectPath(value: string): unknown {
  return new (library().Variant)('o', value);
}

/**
 * Works with certmonger over the system bus. A call through D-Bus, unlike one through getcert(1),
 * can carry a PIN without showing it in the process list.
 * Each call has the deadline `certmonger`, and ends when the run is interrupted.
 * @throws CapstanError `certmonger-unreachable`, `certmonger-refused`, `interrupted`, and whatever `use` throws
 */
export async function withCertmonger<T>(host: Host, use: (certmonger: Certmonger) => Promise<T>): Promise<T> {
  const busAddress = process.env.DBUS_SYSTEM_BUS_ADDRESS ?? SYSTEM_BUS;
  const bus = library().createClient({ busAddress, timeout: 0 });
  // Destroyed, it fails the calls that are on their way; a refused handshake alone would not.
  bus.connection.on('error', () => bus.connection.stream.destroy());
  const invoke = async (path: string, iface: string, member: string, parameters?: Arguments) => {
    try {
      return await within(host, 'certmonger', `certmonger (${member})`, (signal) =>
        bus.invoke<unknown>(
          { destination: SERVICE, path, interface: iface, member, ...parameters },
          { signal },
        ),
      );
    } catch (error) {
      throw isInterruption(error) ? error : busError(member, error);
    }
  };
  try {
    return await use({
      call: (method, parameters) => invoke(ROOT, SERVICE, method, parameters) as Promise<never>,
      callAt: (path, method, parameters) =>
        invoke(
          path,
          `${SERVICE}.${path.includes('/cas/') ? 'ca' : 'request'}`,
          method,
          parameters,
        ) as Promise<never>,
      properties: (path) =>
        invoke(path, 'org.freedesktop.DBus.Properties', 'GetAll', {
          signature: 's',
          body: [`${SERVICE}.request`],
        }) as Promise<Record<string, unknown>>,
    });
  } finally {
    // A polite end would wait for a bus that reads no more.
    bus.connection.stream.destroy();
  }
}

function busError(member: string, error: unknown) {
  const name = (error as DBus.DBusError).dbusName ?? '';
  if (name.startsWith(SERVICE)) {
    return failure(
      'certmonger-refused',
      `certmonger refused ${member}: ${sentenceOf(error)}`,
      undefined,
      error,
    );
  }
  return failure(
    'certmonger-unreachable',
    `certmonger does not answer ${member} on the system bus: ${sentenceOf(error)}`,
    'Look at "systemctl status certmonger".',
    error,
  );
}

let loaded: typeof DBus | undefined;

/** dbus-native is CommonJS and takes tens of milliseconds to load: only those who talk to the bus pay. */
function library(): typeof DBus {
  loaded ??= createRequire(import.meta.url)('dbus-native') as typeof DBus;
  return loaded;
}
