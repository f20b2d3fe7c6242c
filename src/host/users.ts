import { refusal } from '../errors.ts';
import type { Host } from './host.ts';

/** An account of this host. */
export interface Account {
  name: string;
  uid: number;
  gid: number;
}

/**
 * Looks an account up the way the system does, so that those of a directory service are found too (getent(1)).
 * @throws CapstanError `user-missing`
 */
export async function accountOf(host: Host, name: string): Promise<Account> {
  const { stdout } = await host.run('getent', ['passwd', name], { accept: [0, 2] });
  const [found, , uid, gid] = stdout.trim().split(':');
  if (!found) {
    throw refusal(
      'user-missing',
      `The user ${name} does not exist on this host.`,
      'Install the Dogtag packages first; they create pkiuser.',
    );
  }
  return { name: found, uid: Number(uid), gid: Number(gid) };
}
