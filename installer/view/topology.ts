/** The servers of a cluster as a tree of lines, and the feeds between them as a table. */
import { type FeedLook, isBetween, type Link } from '../../src/flow/feeds.ts';
import type { ServerLook, Topology } from '../../src/flow/topology.ts';
import { tableLines } from './table.ts';
import { cleanLine } from './text.ts';

/** The topology for a person. */
export function topologyLines(topology: Topology): string[] {
  const { servers, feeds, parts } = topology;
  const cut = parts.filter((one) => one.parts.length > 1);
  return [
    ...drawing(servers, feeds),
    ...(feeds.length > 0 ? ['', ...tableLines(feeds.map(row), ['', 'from', 'to', 'suffix', 'changes'])] : []),
    ...cut.flatMap(({ suffix, parts: groups }) => [
      '',
      `BAD  ${suffix} is in ${groups.length} parts: ${groups.map((group) => group.join(', ')).join(' | ')}`,
    ]),
  ];
}

function row({ well, sender, receiver, suffix, detail }: FeedLook): string[] {
  return [well ? 'ok' : 'BAD', sender, receiver, suffix, cleanLine(detail)];
}

/** What a server is to others, in words: `CA, renewal master, CRL generator`. */
export function rolesText({ roles, problem }: Pick<ServerLook, 'roles' | 'problem'>): string {
  const words = roles.flatMap(({ name, enabled, renewalMaster, crlGenerator }) => [
    enabled ? name : `${name} (not in use)`,
    ...(renewalMaster ? ['renewal master'] : []),
    ...(crlGenerator ? ['CRL generator'] : []),
  ]);
  return [...(words.length > 0 ? words : ['directory only']), ...(problem ? ['does not answer'] : [])].join(
    ', ',
  );
}

/** One line of the drawing, before its columns are aligned. */
type Line = [tree: string, roles: string, link: string];

/**
 * Every server once, below one that it is connected with. A connection that makes a ring is drawn once, too, with the
 * name of the server at its other end in parentheses.
 */
export function drawing(servers: readonly ServerLook[], feeds: readonly FeedLook[]): string[] {
  const drawn = new Set<string>();
  const left = pairsOf(feeds);
  const lines: Line[] = [];
  const below = (name: string, indent: string) => {
    const children = takeLinks(left, name);
    // All of them are taken before one is drawn: a neighbour is drawn here and not below another neighbour.
    const fresh = children.filter((child) => !drawn.has(child));
    for (const child of fresh) drawn.add(child);
    children.forEach((child, index) => {
      const last = index === children.length - 1;
      const branch = `${indent}${last ? '└' : '├'}${connector(feeds, [name, child])} `;
      const link = linkText(feeds, [name, child]);
      if (!fresh.includes(child)) {
        lines.push([`${branch}(${child})`, '', link]);
        return;
      }
      lines.push([`${branch}${child}`, rolesOf(servers, child), link]);
      below(child, `${indent}${last ? ' ' : '│'}   `);
    });
  };
  for (const { hostname } of inOrder(servers)) {
    if (drawn.has(hostname)) continue;
    drawn.add(hostname);
    lines.push([hostname, rolesOf(servers, hostname), '']);
    below(hostname, '');
  }
  return tableLines(lines);
}

/** The renewal master first: it is where a cluster usually begins. */
function inOrder(servers: readonly ServerLook[]): ServerLook[] {
  const weight = ({ roles }: ServerLook) => (roles.some(({ renewalMaster }) => renewalMaster) ? 0 : 1);
  return servers.toSorted((a, b) => weight(a) - weight(b));
}

function rolesOf(servers: readonly ServerLook[], hostname: string): string {
  const server = servers.find((one) => one.hostname === hostname);
  return server ? rolesText(server) : 'not recorded as a server';
}

/** Every pair of servers with a feed between them, once. */
function pairsOf(feeds: readonly FeedLook[]): Link[] {
  const pairs: Link[] = [];
  for (const { sender, receiver } of feeds) {
    if (!pairs.some((pair) => isBetween(pair, [sender, receiver]))) pairs.push([sender, receiver]);
  }
  return pairs;
}

/** Takes the links of a server off the list. @returns the servers at their other ends, by name */
function takeLinks(left: Link[], name: string): string[] {
  const own = left.filter((link) => link.includes(name));
  for (const link of own) left.splice(left.indexOf(link), 1);
  return own.map(([one, other]) => (one === name ? other : one)).toSorted((a, b) => a.localeCompare(b));
}

function between(feeds: readonly FeedLook[], link: Link): FeedLook[] {
  return feeds.filter(({ sender, receiver }) => isBetween([sender, receiver], link));
}

/** How a connection is drawn: `X` where something is wrong with it, `?` where one of the two does not answer. */
function connector(feeds: readonly FeedLook[], link: Link): string {
  const unwell = between(feeds, link).filter(({ well }) => !well);
  if (unwell.length === 0) return '──';
  return unwell.every(({ state }) => state === 'unknown' || state === 'unproved') ? '─?' : '─X';
}

/** Which suffixes go over a link, each with what is wrong with it. */
function linkText(feeds: readonly FeedLook[], link: Link): string {
  const own = between(feeds, link);
  const suffixes = [...new Set(own.map(({ suffix }) => suffix))];
  return suffixes
    .map((suffix) => {
      const unwell = own.find((feed) => feed.suffix === suffix && !feed.well);
      return unwell ? `${suffix} (${unwell.state})` : suffix;
    })
    .join(', ');
}
