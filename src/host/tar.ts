/** A file of a tar archive. */
export interface TarFile {
  /** Relative path, with `/` between its parts. */
  path: string;
  content: Buffer;
  /** When it was last changed. */
  modified: Date;
}

const BLOCK = 512;
/** The longest path that the header itself can hold; a longer one goes into an extended header before it. */
const SHORT_PATH = 100;
const REGULAR = '0';
const EXTENDED = 'x';

/**
 * The archive, block by block: POSIX.1-2001 pax interchange format, every file of mode 0600 and of root.
 * Owners and permissions of the originals are not kept: whoever unpacks it must not get files that others can read.
 */
export function* tarBlocks(files: Iterable<TarFile>): Generator<Buffer> {
  for (const { path, content, modified } of files) {
    const name = Buffer.from(path);
    const seconds = Math.max(0, Math.floor(modified.getTime() / 1000));
    if (name.length > SHORT_PATH || !isAscii(path)) {
      const record = paxRecord('path', path);
      yield header(Buffer.from('pax-header'), record.length, seconds, EXTENDED);
      yield padded(record);
    }
    yield header(name.subarray(0, SHORT_PATH), content.length, seconds, REGULAR);
    yield padded(content);
  }
  yield Buffer.alloc(2 * BLOCK);
}

/** One header block of the ustar format (pax(1), "ustar Interchange Format"). */
function header(name: Buffer, size: number, seconds: number, type: string): Buffer {
  const block = Buffer.alloc(BLOCK);
  name.copy(block, 0);
  octal(block, 0o600, 100, 8);
  octal(block, 0, 108, 8);
  octal(block, 0, 116, 8);
  octal(block, size, 124, 12);
  octal(block, seconds, 136, 12);
  block.write(type, 156);
  block.write('ustar\u000000', 257);
  block.write('root', 265);
  block.write('root', 297);
  // The sum is made with blanks in its own place.
  block.fill(' ', 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\u0000 `, 148);
  return block;
}

function octal(block: Buffer, value: number, offset: number, width: number): void {
  block.write(value.toString(8).padStart(width - 1, '0'), offset);
}

/** `LENGTH KEY=VALUE\n`, where LENGTH counts its own digits too (pax(1), "pax Extended Header"). */
function paxRecord(key: string, value: string): Buffer {
  const rest = Buffer.byteLength(` ${key}=${value}\n`);
  let length = rest + String(rest).length;
  if (String(length).length > String(rest).length) length = rest + String(length).length;
  return Buffer.from(`${length} ${key}=${value}\n`);
}

function padded(content: Buffer): Buffer {
  const missing = (BLOCK - (content.length % BLOCK)) % BLOCK;
  return missing === 0 ? content : Buffer.concat([content, Buffer.alloc(missing)]);
}

function isAscii(text: string): boolean {
  return Buffer.byteLength(text) === text.length;
}
