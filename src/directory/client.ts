import { connect } from 'node:net';
import { Attribute, Change, Client, NoSuchObjectError, type SearchOptions } from 'ldapts';
import { failure, sentenceOf } from '../errors.ts';
import { pathExists } from '../host/files.ts';
import type { DirectoryInstance } from './instance.ts';

/** An LDAP entry: attribute names as the server spells them, every value a string. */
export interface Entry {
  dn: string;
  /** The values of an attribute, whatever its letter case; none where it is absent. */
  values(attribute: string): string[];
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
  /** Deletes a leaf entry; that there is none is no error. */
  remove(dn: string): Promise<void>;
}

/** Milliseconds for one LDAP operation. */
const OPERATION_TIMEOUT = 30_000;

/**
 * Works with the local instance over its UNIX socket as root, which 389-ds maps to the Directory Manager
 * (`nsslapd-ldapiautobind`, on in every instance that dscreate makes): no password is needed or sent.
 * @throws CapstanError `directory-unreachable`, and whatever `use` throws
 */
export async function withLocalDirectory<T>(
  instance: Pick<DirectoryInstance, 'name'>,
  use: (directory: Directory) => Promise<T>,
): Promise<T> {
  const socket = await socketOf(instance);
  const client = new Client({
    url: 'ldap://localhost',
    timeout: OPERATION_TIMEOUT,
    connectTimeout: OPERATION_TIMEOUT,
    createConnection: (() => connect(socket)) as typeof connect,
  });
  try {
    await client.bind('EXTERNAL').catch((error: unknown) => {
      throw failure(
        'directory-unreachable',
        `The directory instance ${instance.name} does not let root in over ${socket}: ${sentenceOf(error)}`,
        `Look at "systemctl status dirsrv@${instance.name}" and at nsslapd-ldapiautobind.`,
        error,
      );
    });
    return await use(directoryOver(client));
  } finally {
    await client.unbind().catch(() => {});
  }
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

function directoryOver(client: Client): Directory {
  const search = async (base: string, options: SearchOptions) => {
    const { searchEntries } = await client.search(base, options);
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
        if (error instanceof NoSuchObjectError) return undefined;
        throw error;
      }
    },
    async add(dn, attributes) {
      if (await this.entry(dn, ['1.1'])) return false;
      await client.add(dn, Object.entries(attributes).map(attribute));
      return true;
    },
    async replace(dn, attributes) {
      await client.modify(dn, changes('replace', attributes));
    },
    async append(dn, attribute, values) {
      await client.modify(dn, changes('add', { [attribute]: values }));
    },
    async remove(dn) {
      await client.del(dn).catch((error: unknown) => {
        if (!(error instanceof NoSuchObjectError)) throw error;
      });
    },
  };
}

type Values = readonly (string | Buffer)[];

function changes(operation: 'add' | 'replace', attributes: Readonly<Record<string, Values>>): Change[] {
  return Object.entries(attributes).map((named) => new Change({ operation, modification: attribute(named) }));
}

function attribute([type, values]: [string, Values]): Attribute {
  return new Attribute({ type, values: values.map((value) => Buffer.from(value)) });
}

function entryOf({ dn, ...found }: Record<string, unknown> & { dn: string }): Entry {
  const byName = new Map(Object.entries(found).map(([name, value]) => [name.toLowerCase(), value]));
  return {
    dn,
    values: (name) => [byName.get(name.toLowerCase()) ?? []].flat().map(String),
  };
}
