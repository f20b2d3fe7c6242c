/** Takes certmonger's name on a bus, says so, and waits to be stopped: what is asked of it then is never answered. */
import { createRequire } from 'node:module';
import type * as DBus from 'dbus-native';

const { createClient } = createRequire(import.meta.url)('dbus-native') as typeof DBus;
const bus = createClient({ busAddress: String(process.argv[2]) });
await bus.requestName('org.fedorahosted.certmonger', 0);
process.stdout.write('ready\n');
