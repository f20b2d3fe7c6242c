/**
 * The process that holds a PKCS#11 library, so that a library that hangs, crashes or prints cannot hurt the installer.
 * It is started by module-process.ts and answers one question after the other over IPC. It becomes the user that will
 * use the token before anything of the vendor's is loaded, and imports nothing but the addon, to stay small.
 */

import { accessSync, constants, statSync } from 'node:fs';
import { decrypt, login, mechanisms, sign, slotFacts, tokens } from './module-calls.ts';
import { generate } from './module-keys.ts';
import { CallFailure, close, type LoadedModule, load, moduleFacts } from './module-library.ts';
import { destroy, find, read } from './module-objects.ts';
import type { ChildFailure, ChildMessage, Question } from './protocol.ts';

/** How a process changes its user. The type definitions lack initgroups, and leave the others open for Windows. */
const identity = process as unknown as {
  initgroups(user: string, gid: number): void;
  setgid(gid: number): void;
  setuid(uid: number): void;
};

let module: LoadedModule | undefined;
let lastEntered = '';

function send(message: ChildMessage): void {
  process.send?.(message);
}

function enter(name: string): void {
  // A listing calls one function thousands of times; the parent needs to hear of it once.
  if (name === lastEntered) return;
  lastEntered = name;
  send({ entering: name });
}

/** Supplementary groups first: they cannot be set any more once root is given up. */
function becomeUser(user: { name: string; gid: number; uid: number }): void {
  if (process.getuid?.() === user.uid && user.uid !== 0) return;
  try {
    identity.initgroups(user.name, user.gid);
    identity.setgid(user.gid);
    identity.setuid(user.uid);
  } catch (error) {
    throw new CallFailure({ kind: 'user', detail: (error as Error).message });
  }
}

/** Every directory on the way can be entered, and the file can be read, by the user that this process now is. */
function checkPath(path: string): void {
  const parts = path.split('/').slice(1);
  for (let depth = 1; depth <= parts.length; depth += 1) {
    const here = `/${parts.slice(0, depth).join('/')}`;
    const isLast = depth === parts.length;
    try {
      const isFile = statSync(here).isFile();
      if (isLast && !isFile) throw new CallFailure({ kind: 'path', problem: 'not-a-file', path: here });
      accessSync(here, isLast ? constants.R_OK : constants.X_OK);
    } catch (error) {
      throw pathFailure(error, here);
    }
  }
}

function pathFailure(error: unknown, path: string): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new CallFailure({ kind: 'path', problem: 'missing', path });
  }
  return code === 'EACCES' ? new CallFailure({ kind: 'path', problem: 'denied', path }) : error;
}

function answer(question: Question): unknown {
  if (question.call === 'open') {
    if (question.user) becomeUser(question.user);
    checkPath(question.libraryPath);
    module = load(question.libraryPath, enter);
    return moduleFacts(module);
  }
  if (!module) throw new Error('no library is open');
  switch (question.call) {
    case 'tokens':
      return tokens(module);
    case 'slot':
      return slotFacts(module, question.slot);
    case 'mechanisms':
      return mechanisms(module, question.slot);
    case 'login':
      return login(module, question.slot, question.pin);
    case 'generate':
      return generate(module, question.slot, question.wish);
    case 'find':
      return find(module, question.slot);
    case 'read':
      return read(module, question.slot, question.from, question.count);
    case 'sign': {
      const data = Buffer.from(question.data, 'base64');
      return sign(module, question.slot, question.id, question.mechanism, data).toString('base64');
    }
    case 'decrypt': {
      const data = Buffer.from(question.data, 'base64');
      return decrypt(module, question.slot, question.id, question.hash, data).toString('base64');
    }
    case 'destroy':
      return destroy(module, question.slot, question.index, question.expected);
    case 'close':
      return close(module);
  }
}

function failureOf(error: unknown): ChildFailure {
  if (error instanceof CallFailure) return error.failure;
  return { kind: 'defect', detail: error instanceof Error ? error.message : String(error) };
}

process.on('message', (question: Question) => {
  try {
    send({ number: question.number, answer: answer(question) });
  } catch (error) {
    send({ number: question.number, failure: failureOf(error) });
  }
});
process.on('disconnect', () => process.exit());
