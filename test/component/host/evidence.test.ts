/** Gathering from real files and programs: what is cut, what is hidden, what is refused, what is given up. */
import { execFileSync } from 'node:child_process';
import {
  chownSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  cleanText,
  cut,
  type Evidence,
  type Exhibit,
  fileEvidence,
  filesEvidence,
  gatherer,
  lookEvidence,
  outputEvidence,
  textIfThere,
} from '../../../src/host/evidence.ts';
import { openHost } from '../../../src/host/host.ts';
import { noLog } from '../../../src/host/log.ts';
import { forgetSecret, hideSecret } from '../../../src/secret/redaction.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'capstan-evidence-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

function put(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

async function gathered(...evidence: Evidence[]): Promise<Exhibit[]> {
  return gatherer(openHost())(evidence);
}

async function one(
  evidence: Evidence,
): Promise<{ text: string | undefined; note?: string; missing?: string }> {
  const [{ content, note, missing } = {} as Exhibit] = await gathered(evidence);
  return {
    text: content?.toString('utf8'),
    ...(note !== undefined && { note }),
    ...(missing !== undefined && { missing }),
  };
}

const lines = (count: number) => Array.from({ length: count }, (_, index) => `line ${index + 1}\n`).join('');

describe('a file', () => {
  test('is taken as it is, with its time', async () => {
    const path = put('a.log', 'one\ntwo\n');
    utimesSync(path, 1_000_000, 1_000_000);
    const [exhibit] = await gathered(fileEvidence('m/a.log', 'a log', path));
    expect(exhibit).toEqual({
      member: 'm/a.log',
      what: 'a log',
      source: path,
      content: Buffer.from('one\ntwo\n'),
      modified: new Date(1_000_000_000),
    });
  });

  test('that is long gives its last lines when it is a log, and says so', async () => {
    const path = put('a.log', lines(1000));
    expect(await one(fileEvidence('m', 'a log', path, { limit: 20 }))).toEqual({
      text: 'line 999\nline 1000\n',
      note: 'Only the last 19 of 8893 bytes are here.',
    });
  });

  test('that is long gives its first lines when it is a configuration', async () => {
    const path = put('a.cfg', lines(1000));
    expect(await one(fileEvidence('m', 'a configuration', path, { limit: 20, form: 'fields' }))).toEqual({
      text: 'line 1\nline 2\n',
      note: 'Only the first 14 of 8893 bytes are here.',
    });
  });

  test('of the kernel, without a size, is read', async () => {
    expect((await one(fileEvidence('m', 'memory', '/proc/meminfo'))).text).toMatch(/^MemTotal:/);
  });

  test('that is none says so, and nothing waits for it', async () => {
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    mkdirSync(join(folder, 'folder'));
    expect((await one(fileEvidence('m', 'x', join(folder, 'pipe')))).missing).toBe(
      'It is not a regular file.',
    );
    expect((await one(fileEvidence('m', 'x', join(folder, 'folder')))).missing).toBe(
      'It is not a regular file.',
    );
    expect((await one(fileEvidence('m', 'x', '/dev/zero'))).missing).toBe('It is not a regular file.');
    expect((await one(fileEvidence('m', 'x', join(folder, 'none')))).missing).toBe('It is not there.');
    expect((await one(fileEvidence('m', 'x', join(folder, 'pipe/none')))).missing).toBe('It is not there.');
  });
});

describe.runIf(process.getuid?.() === 0)('the links of a daemon', () => {
  test("are not followed to what is root's, wherever in the path they stand", async () => {
    const secret = put('shadow', 'root:hash\n');
    symlinkSync(secret, join(folder, 'debug.log'));
    symlinkSync(folder, join(folder, 'ca'));
    for (const link of ['debug.log', 'ca']) lchownSync(join(folder, link), 65534, 65534);
    expect((await one(fileEvidence('m', 'x', join(folder, 'debug.log')))).missing).toContain(
      "debug.log is a symbolic link that is not root's",
    );
    expect((await one(fileEvidence('m', 'x', join(folder, 'ca/shadow')))).missing).toContain(
      "ca is a symbolic link that is not root's",
    );
    const [found] = await filesEvidence('m', 'x', join(folder, 'ca'), '*');
    expect(found && (await one(found)).missing).toContain("ca is a symbolic link that is not root's");
  });

  test('of root lead on in the path, but a log is never one itself', async () => {
    put('real.log', 'text\n');
    symlinkSync(folder, join(folder, 'ca'));
    symlinkSync('real.log', join(folder, 'link.log'));
    expect((await one(fileEvidence('m', 'x', join(folder, 'ca/real.log')))).text).toBe('text\n');
    expect((await one(fileEvidence('m', 'x', join(folder, 'link.log')))).missing).toBe(
      'It is a symbolic link.',
    );
    expect((await one(fileEvidence('m', 'x', join(folder, 'link.log'), { follow: true }))).text).toBe(
      'text\n',
    );
  });

  test('a file of the daemon itself is taken', async () => {
    const path = put('debug.log', 'text\n');
    chownSync(path, 65534, 65534);
    expect((await one(fileEvidence('m', 'x', path))).text).toBe('text\n');
  });
});

describe('several files', () => {
  test('the newest are taken, and the others are told of', async () => {
    for (const [index, name] of ['c.log', 'a.log', 'b.log', 'other'].entries()) {
      utimesSync(put(name, name), 1000 + index, 1000 + index);
    }
    mkdirSync(join(folder, 'folder.log'));
    const found = await gathered(...(await filesEvidence('m', 'logs', folder, '*.log', { newest: 2 })));
    expect(found.map(({ member, missing, content }) => [member, content?.toString() ?? missing])).toEqual([
      ['m/b.log', 'b.log'],
      ['m/a.log', 'a.log'],
      ['m/', '1 older ones are left out, from c.log to c.log.'],
    ]);
  });

  test('where there are none, one member says why', async () => {
    const none = await gathered(...(await filesEvidence('m', 'logs', folder, '*.log')));
    expect(none).toEqual([
      { member: 'm/', what: 'logs', source: `${folder}/*.log`, missing: 'There is no file of that name.' },
    ]);
    const nowhere = await gathered(...(await filesEvidence('m', 'logs', join(folder, 'x'), '*.log')));
    expect(nowhere[0]?.missing).toBe('It is not there.');
  });
});

describe('a program', () => {
  test('gives both of its outputs, and its exit code when that is strange', async () => {
    expect(await one(outputEvidence('m', 'x', ['sh', '-c', 'echo out; echo err >&2; exit 3']))).toEqual({
      text: 'out\n\nerr\n',
      note: 'It ended with exit code 3.',
    });
  });

  test('that is not installed is told of', async () => {
    expect((await one(outputEvidence('m', 'x', ['no-such-program']))).missing).toBe(
      'The program no-such-program is not installed.',
    );
  });

  test('that never ends is given up at its deadline, and the others do not wait for it', async () => {
    const host = openHost(noLog, undefined, { deadlines: { command: 1 } });
    const begun = performance.now();
    const [hung, quick] = await gatherer(host)([
      outputEvidence('m', 'x', ['sleep', '600']),
      outputEvidence('n', 'x', ['echo', 'quick']),
    ]);
    expect(hung?.missing).toBe('sleep did not end within 1 s and was stopped.');
    expect(quick?.content?.toString()).toBe('quick\n');
    expect(performance.now() - begun).toBeLessThan(10_000);
  });
});

describe('a look', () => {
  test('that never ends is given up, and learns of it', async () => {
    let told = false;
    const endless = lookEvidence(
      'm',
      'x',
      'nowhere',
      ({ signal }) =>
        new Promise(() => {
          signal.addEventListener('abort', () => {
            told = true;
          });
        }),
      // Less the seconds that a look gets to be gone.
      () => -9,
    );
    expect((await one(endless)).missing).toBe('It did not come within 1 s.');
    expect(told).toBe(true);
  });

  test('that fails says why', async () => {
    const failing = lookEvidence(
      'm',
      'x',
      'y',
      () => Promise.reject(new Error('no luck')),
      () => 1,
    );
    expect((await one(failing)).missing).toBe('no luck');
  });
});

test('an interruption ends all of it at once', async () => {
  const controller = new AbortController();
  const host = openHost(noLog, controller.signal);
  const many = Array.from({ length: 20 }, () => outputEvidence('m', 'x', ['sleep', '600']));
  const begun = performance.now();
  setTimeout(() => controller.abort(), 300);
  await expect(gatherer(host)(many)).rejects.toMatchObject({ code: 'interrupted', exit: 130 });
  expect(performance.now() - begun).toBeLessThan(8000);
});

describe('what is gathered is free of secrets', () => {
  const SECRET = `it's 100% "s&f=" \\enough`;

  test('known ones, in text, in a note, in a source and in what went wrong', async () => {
    hideSecret(SECRET);
    try {
      const path = put('a.log', `begin ${SECRET} end\n${JSON.stringify({ SECRET })}\n`);
      expect((await one(fileEvidence('m', 'x', path))).text).toBe(
        'begin [secret] end\n{"SECRET":"[secret]"}\n',
      );
      const failing = lookEvidence(
        'm',
        'x',
        SECRET,
        () => Promise.reject(new Error(`wrong: ${SECRET}`)),
        () => 1,
      );
      const [exhibit] = await gathered(failing);
      expect(exhibit).toMatchObject({ source: '[secret]', missing: 'wrong: [secret]' });
    } finally {
      forgetSecret(SECRET);
    }
  });

  test('unknown ones, by the form of the text', () => {
    expect(cleanText('a.password=x1y2z3\nb=1\n', 'fields')).toBe('a.password=[secret]\nb=1\n');
    expect(cleanText('<a keystorePass="x1y2z3" b="1"/>', 'xml')).toBe('<a keystorePass="[secret]" b="1"/>');
    expect(
      cleanText('-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkq\n-----END PRIVATE KEY-----\n', 'log'),
    ).toBe('[secret]\n');
  });

  test('a private key that the cut of a log went through', async () => {
    const key = `-----BEGIN PRIVATE KEY-----\n${'MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n'.repeat(10)}-----END PRIVATE KEY-----\n`;
    const path = put('a.log', `${key}after\n`);
    const { text } = await one(fileEvidence('m', 'x', path, { limit: 120 }));
    expect(text).toBe('[secret]\nafter\n');
  });
});

describe('a cut', () => {
  test('never goes through a line', () => {
    expect(cut('aaaa\nbbbb\ncccc\n', 9, 'end').text).toBe('cccc\n');
    expect(cut('aaaa\nbbbb\ncccc\n', 10, 'end').text).toBe('bbbb\ncccc\n');
    expect(cut('aaaa\nbbbb\ncccc\n', 9, 'start').text).toBe('aaaa\n');
    expect(cut('aaaa\nbbbb\ncccc\n', 10, 'start').text).toBe('aaaa\nbbbb\n');
  });

  test('leaves nothing of a text that is one long line', () => {
    expect(cut('x'.repeat(100), 10, 'end')).toEqual({
      text: '',
      note: 'Only the last 0 of 100 bytes are here.',
    });
    expect(cut('x'.repeat(100), 10, 'start')).toEqual({
      text: '',
      note: 'Only the first 0 of 100 bytes are here.',
    });
  });
});

test('a text that is looked into for secrets is a file, or nothing', async () => {
  execFileSync('mkfifo', [join(folder, 'pipe')]);
  symlinkSync('/dev/zero', join(folder, 'endless'));
  expect(await textIfThere(put('a', 'text\n'))).toBe('text\n');
  for (const name of ['pipe', 'endless', 'none']) expect(await textIfThere(join(folder, name))).toBe('');
});
