import { connect, type Socket } from 'node:net';
import {
  AlreadyExistsError,
  Attribute,
  Change,
  Client,
  InsufficientAccessError,
  NoSuchAttributeError,
  NoSuchObjectError,
  ResultCodeError,
  type SearchOptions,
} from 'ldapts';
import { CapstanError, failure, sentenceOf } from '../errors.ts';
import type { DeadlineName } from '../host/deadlines.ts';
import { pathExists } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { within } from '../host/wait.ts';
import type { DirectoryInstance } from './instance.ts';

/** An LDAP entry: attribute names as the server spells them, every value a string. */
export interface Entry {
  dn: string;
  /** The values of an attribute, whatever its letter case; none where it is absent. */
  values(attribute: string): string[];
  /** The same as bytes; those of an attribute with the option `;binary` are what the server sent. */
  bytes(attribute: string): Buffer[];
}

/** A bound connection to a directory. */
export interface Directory {
  /** One entry with the named attributes, or undefined where there is none. */
  entry(dn: string, attributes?: readonly string[]): Promise<Entry | undefined>;
  search(base: string, options: SearchOptions): Promise<Entry[]>;
  /** Adds the entry; one that is there already is left as it is. @returns whether it was added */
  add(dn: string, attributes: Readonly<Record<string, readonly (string | Buffer)[]>>): Promise<boolean>;
  /** Sets the attributes to exactly these values. */
  replace(dn: string, attributes: Readonly<Record<string, readonly (string | Buffer)[]>>): Promise<void>;
  /** Adds values to a multi-valued attribute. */
  append(dn: string, attribute: string, values: readonly string[]): Promise<void>;
  /** Takes values away from an attribute that has them. */
  take(dn: string, attribute: string, values: readonly string[]): Promise<void>;
  /** Puts a value in the place of another, in one operation. @returns false where the other is not there any more */
  swap(dn: string, attribute: string, old: string, value: string): Promise<boolean>;
  /** Deletes a leaf entry; that there is none is no error. @param deadline where that takes more than LDAP usually does */
  remove(dn: string, deadline?: DeadlineName): Promise<void>;
}

/**
 * Works with the local instance over its UNIX socket as root, which 389-ds maps to the Directory Manager
 * (`nsslapd-ldapiautobind`, on in every instance that dscreate makes): no password is needed or sent.
 * Each operation has the deadline `ldap`, and ends when the run is interrupted.
 * @throws CapstanError `directory-unreachable`, `directory-refused`, `interrupted`, and whatever `use` throws
 */
export async function withLocalDirectory<T>(
  host: Host,
  instance: Pick<DirectoryInstance, 'name'>,
  use: (directory: Directory) => Promise<T>,
): Promise<T> {
  const path = await socketOf(instance);
  const { name } = instance;
  const peer: Peer = {
    name: `directory instance ${name}`,
    open: () => connect(path),
    unreachable: (what, error) =>
      failure(
        'directory-unreachable',
        `${what}: ${sentenceOf(error)}`,
        `Look at "systemctl status dirsrv@${name}" and at nsslapd-ldapiautobind.`,
        error,
      ),
  };
  return overSocket(host, peer, use, async (client) => {
    await client.bind('EXTERNAL').catch((error: unknown) => {
      throw peer.unreachable(`The directory instance ${name} does not let root in over ${path}`, error);
    });
  });
}

/** Whom an LDAP connection goes to, and how its end is told. */
export interface Peer {
  /** For a person, after "the": `directory instance EXAMPLE-TEST`. */
  name: string;
  /** Gives the one socket of the connection, open or opening. */
  open(): Socket;
  /** The error of a peer that does not answer. @param what the beginning of a sentence */
  unreachable(what: string, error: unknown): CapstanError;
}

/**
 * Works over one socket that is given, and destroys it at the end. The connection is never opened a second time: one
 * that broke would come back without its bind.
 * @param bind makes the connection somebody's; throws CapstanErrors of its own
 * @throws CapstanError `directory-unreachable`, `directory-refused`, `interrupted`, and whatever `bind` and `use` throw
 */
export async function overSocket<T>(
  host: Host,
  peer: Peer,
  use: (directory: Directory) => Promise<T>,
  bind?: (client: Client) => Promise<void>,
): Promise<T> {
  const socket = peer.open();
  let used = false;
  const createConnection = () => {
    if (used) throw new Error('the connection was closed');
    used = true;
    return socket;
  };
  const client = new Client({
    url: 'ldap://localhost',
    createConnection: createConnection as unknown as typeof connect,
  });
  const operate: Operate = (what, operation, deadline = 'ldap') =>
    within(host, deadline, `the ${peer.name} (${what})`, operation).catch((error: unknown) => {
      if (error instanceof ResultCodeError) throw refused(peer, what, error);
      // The server may still answer, and the next operation must not take that for its own answer.
      socket.destroy();
      if (!(error instanceof CapstanError))
        throw peer.unreachable(`The ${peer.name} broke off "${what}"`, error);
      if (error.code !== 'deadline-passed') throw error;
      throw peer.unreachable(`The ${peer.name} is silent to "${what}"`, error);
    });
  try {
    if (bind) await operate('bind', () => bind(client));
    return await use(directoryOver(client, operate));
  } finally {
    // A polite goodbye would wait for a server that reads no more.
    socket.destroy();
  }
}

/** Does one LDAP operation, named for a person, under its deadline. */
type Operate = <T>(what: string, operation: () => Promise<T>, deadline?: DeadlineName) => Promise<T>;

/** An answer of the server that is no success. Its cause is the LDAP result; see {@link isResult}. */
function refused(peer: Peer, what: string, error: ResultCodeError) {
  return failure(
    'directory-refused',
    `The ${peer.name} refused to ${what}: ${resultSentence(error)}`,
    undefined,
    error,
  );
}

/** What the server said of an operation that it refused: its own words, or the name of the result, and the number. */
export function resultSentence({ name, code, message }: ResultCodeError): string {
  // ldapts appends the number in hexadecimal.
  const words = message.replace(/\s*Code: 0x[0-9a-f]+$/i, '').trim();
  return `${words || name.replace(/Error$/, '')} (LDAP result ${code})`;
}

/** Whether the server answered with this result: `isResult(error, NoSuchObjectError)`. */
export function isResult(thrown: unknown, result: new (message?: string) => ResultCodeError): boolean {
  return thrown instanceof CapstanError && thrown.cause instanceof result;
}

async function socketOf({ name }: Pick<DirectoryInstance, 'name'>): Promise<string> {
  const file = `slapd-${name}.socket`;
  for (const folder of ['/run', '/var/run', '/run/dirsrv']) {
    if (await pathExists(`${folder}/${file}`)) return `${folder}/${file}`;
  }
  throw failure(
    'directory-unreachable',
    `The directory instance ${name} has no socket ${file}; it does not run.`,
    `Start it with "systemctl start dirsrv@${name}".`,
  );
}

function directoryOver(client: Client, operate: Operate): Directory {
  const search = async (base: string, options: SearchOptions) => {
    const { searchEntries } = await operate(`search ${base || 'the root'}`, () =>
      client.search(base, options),
    );
    return searchEntries.map((found) => entryOf(found as Record<string, unknown> & { dn: string }));
  };
  return {
    search,
    async entry(dn, attributes) {
      try {
        const [found] = await search(dn, {
          scope: 'base',
          ...(attributes && { attributes: [...attributes] }),
        });
        return found;
      } catch (error) {
        if (isResult(error, NoSuchObjectError)) return undefined;
        throw error;
      }
    },
    async add(dn, attributes) {
      if (await this.entry(dn, ['1.1'])) return false;
      try {
        await operate(`add ${dn}`, () => client.add(dn, Object.entries(attributes).map(attribute)));
        return true;
      } catch (error) {
        // Another run was quicker.
        if (isResult(error, AlreadyExistsError)) return false;
        throw error;
      }
    },
    async replace(dn, attributes) {
      await operate(`modify ${dn}`, () => client.modify(dn, changes('replace', attributes)));
    },
    async append(dn, attribute, values) {
      await operate(`modify ${dn}`, () => client.modify(dn, changes('add', { [attribute]: values })));
    },
    async take(dn, attribute, values) {
      await operate(`modify ${dn}`, () => client.modify(dn, changes('delete', { [attribute]: values })));
    },
    async swap(dn, attribute, old, value) {
      const change = [
        ...changes('delete', { [attribute]: [old] }),
        ...changes('add', { [attribute]: [value] }),
      ];
      try {
        await operate(`modify ${dn}`, () => client.modify(dn, change));
        return true;
      } catch (error) {
        if (isResult(error, NoSuchAttributeError)) return false;
        throw error;
      }
    },
    async remove(dn, deadline) {
      await operate(`delete ${dn}`, () => client.del(dn), deadline).catch(async (error: unknown) => {
        if (isResult(error, NoSuchObjectError)) return;
        // Of an entry that is not there 389-ds says to all but its manager that they may not delete it.
        if (!isResult(error, InsufficientAccessError) || (await this.entry(dn, ['1.1']))) throw error;
      });
    },
  };
}

type Values = readonly (string | Buffer)[];

function changes(
  operation: 'add' | 'delete' | 'replace',
  attributes: Readonly<Record<string, Values>>,
): Change[] {
  return Object.entries(attributes).map((named) => new Change({ operation, modification: attribute(named) }));
}

function attribute([type, values]: [string, Values]): Attribute {
  return new Attribute({ type, values: values.map((value) => Buffer.from(value)) });
}

function entryOf({ dn, ...found }: Record<string, unknown> & { dn: string }): Entry {
  const byName = new Map(Object.entries(found).map(([name, value]) => [name.toLowerCase(), value]));
  const all = (name: string) => [byName.get(name.toLowerCase()) ?? []].flat();
  return {
    dn,
    values: (name) => all(name).map(String),
    bytes: (name) => all(name).map((value) => (Buffer.isBuffer(value) ? value : Buffer.from(String(value)))),
  };
}
