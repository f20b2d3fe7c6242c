/** Paths as an administrator names them. */

/** The longest path that the kernel takes, in bytes without the final NUL (PATH_MAX, limits.h). */
const LONGEST_PATH = 4095;

/**
 * Why a text cannot be the path of a file, as the end of a sentence that begins with the file; undefined when it can.
 * `..` is refused: behind a symbolic link it names another place than one reads, and the path is kept in records that
 * other hosts read.
 */
export function flawOfPath(path: string): string | undefined {
  if (path === '') return 'has no name: the path is empty';
  if (/[\p{Cc}\u2028\u2029]/u.test(path)) return 'has a control character in its name';
  // Node puts U+FFFD in the place of bytes that are no UTF-8 in an argument: another file than was meant.
  if (!path.isWellFormed() || path.includes('\ufffd')) return 'has a name that is not UTF-8';
  if (Buffer.byteLength(path) > LONGEST_PATH) return `has a path of more than ${LONGEST_PATH} bytes`;
  if (path.split('/').includes('..')) return 'has a path with ".." in it';
  if (path.endsWith('/')) return 'has a path that ends in "/", as only a folder may';
  return undefined;
}
