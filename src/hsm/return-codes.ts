/**
 * The PKCS#11 return codes that an administrator may meet (numbers and meanings: PKCS#11 v2.40, section 5.1 and
 * pkcs11t.h), each with a sentence and with the reason why it is, or is not, worth another try.
 * A wrong PIN is never transient: every further try brings the token nearer to locking.
 */

/** What a return code means to a person. */
export interface ReturnCode {
  /** `CKR_PIN_INCORRECT` */
  name: string;
  /** The stable code of the error made from it: `pin-incorrect`, or `pkcs11-` and the name. */
  code: string;
  /** What it means, as the end of a sentence. */
  meaning: string;
  /** Whether the same call may well succeed later without anyone changing anything. */
  transient: boolean;
  /** What to do about it. */
  next?: string;
}

type Row = [number, string, string, 'transient' | 'permanent', Partial<Pick<ReturnCode, 'code' | 'next'>>?];

const SEE_VENDOR = 'Look into the log of the HSM and of its client software.';
const FREE_SESSIONS = 'End other programs that use the token, or raise its limit of sessions.';
const CHECK_PIN =
  'Check the token password. Capstan tries it once only, because tokens lock after a few wrong tries.';
const UNLOCK = 'Have the security officer unlock the PIN with the vendor’s tool.';

const ROWS: readonly Row[] = [
  // Out of resources on either side: load passes.
  [0x02, 'HOST_MEMORY', 'this host has no memory left for it', 'transient'],
  [
    0x31,
    'DEVICE_MEMORY',
    'the token has no memory left',
    'permanent',
    { next: 'Delete objects from the token.' },
  ],
  // The two catch-alls. Network clients answer with them while the appliance is away, but also when misconfigured.
  [0x05, 'GENERAL_ERROR', 'the library failed without saying why', 'permanent', { next: SEE_VENDOR }],
  [0x06, 'FUNCTION_FAILED', 'the token could not do it', 'permanent', { next: SEE_VENDOR }],
  // A session or the device went away: a network HSM that restarts looks like this.
  [0x30, 'DEVICE_ERROR', 'the token or the way to it is disturbed', 'transient', { next: SEE_VENDOR }],
  [0x32, 'DEVICE_REMOVED', 'the token went away', 'transient', { next: SEE_VENDOR }],
  [0x50, 'FUNCTION_CANCELED', 'the token cancelled the call', 'transient'],
  [0xb0, 'SESSION_CLOSED', 'the token closed the session', 'transient'],
  [0xb3, 'SESSION_HANDLE_INVALID', 'the token does not know the session any more', 'transient'],
  [0xe0, 'TOKEN_NOT_PRESENT', 'there is no token in the slot', 'transient', { code: 'token-not-present' }],
  [0xe1, 'TOKEN_NOT_RECOGNIZED', 'the token in the slot is not recognised', 'permanent'],
  // Limits of sessions: others may let go of theirs.
  [
    0xb1,
    'SESSION_COUNT',
    'no more sessions can be opened',
    'transient',
    { code: 'sessions-exhausted', next: FREE_SESSIONS },
  ],
  [
    0xb4,
    'SESSION_PARALLEL_NOT_SUPPORTED',
    'the session was asked for in a way the token does not have',
    'permanent',
  ],
  [0xb5, 'SESSION_READ_ONLY', 'the session may not write', 'permanent'],
  [0xb8, 'SESSION_READ_WRITE_SO_EXISTS', 'the security officer is logged in', 'transient'],
  // The PIN: another try with the same one only costs a try.
  [0xa0, 'PIN_INCORRECT', 'the PIN is wrong', 'permanent', { code: 'pin-incorrect', next: CHECK_PIN }],
  [
    0xa1,
    'PIN_INVALID',
    'the PIN holds characters the token does not take',
    'permanent',
    { code: 'pin-incorrect', next: CHECK_PIN },
  ],
  [
    0xa2,
    'PIN_LEN_RANGE',
    'the PIN is too short or too long for the token',
    'permanent',
    { code: 'pin-incorrect', next: CHECK_PIN },
  ],
  [
    0xa3,
    'PIN_EXPIRED',
    'the PIN has expired',
    'permanent',
    { code: 'pin-expired', next: 'Set a new PIN with the vendor’s tool.' },
  ],
  [0xa4, 'PIN_LOCKED', 'the PIN is locked', 'permanent', { code: 'pin-locked', next: UNLOCK }],
  [
    0x102,
    'USER_PIN_NOT_INITIALIZED',
    'the token has no user PIN yet',
    'permanent',
    { code: 'pin-unset', next: 'Set the user PIN with the vendor’s tool.' },
  ],
  // The login state of a process: nobody else changes it while the process lives.
  [0x100, 'USER_ALREADY_LOGGED_IN', 'someone is logged in through this library already', 'permanent'],
  [0x101, 'USER_NOT_LOGGED_IN', 'a login is needed first', 'permanent'],
  [0x103, 'USER_TYPE_INVALID', 'the token has no such user', 'permanent'],
  [0x104, 'USER_ANOTHER_ALREADY_LOGGED_IN', 'another user is logged in', 'transient'],
  [0x105, 'USER_TOO_MANY_TYPES', 'too many users are logged in', 'transient'],
  // What the token, by its settings or state, will not do.
  [
    0xe2,
    'TOKEN_WRITE_PROTECTED',
    'the token is write-protected',
    'permanent',
    { code: 'token-write-protected', next: 'Make the token writable.' },
  ],
  [0x1b, 'ACTION_PROHIBITED', 'the token forbids it for this object', 'permanent'],
  [0x68, 'KEY_FUNCTION_NOT_PERMITTED', 'the key may not be used for that', 'permanent'],
  [0x6a, 'KEY_UNEXTRACTABLE', 'the key may not leave the token', 'permanent'],
  [0x11, 'ATTRIBUTE_SENSITIVE', 'the attribute may not be read', 'permanent'],
  [0x10, 'ATTRIBUTE_READ_ONLY', 'the attribute may not be changed', 'permanent'],
  [0x54, 'FUNCTION_NOT_SUPPORTED', 'the token has no such function', 'permanent'],
  [0x70, 'MECHANISM_INVALID', 'the token has no such mechanism', 'permanent'],
  [0x71, 'MECHANISM_PARAM_INVALID', 'the token does not take the mechanism’s parameter', 'permanent'],
  // Requests the token finds wrong: the same request stays wrong.
  [0x03, 'SLOT_ID_INVALID', 'there is no such slot', 'permanent'],
  [0x07, 'ARGUMENTS_BAD', 'the library finds the arguments wrong', 'permanent'],
  [0x08, 'NO_EVENT', 'nothing has happened', 'transient'],
  [0x09, 'NEED_TO_CREATE_THREADS', 'the library must be allowed to start threads', 'permanent'],
  [0x0a, 'CANT_LOCK', 'the library cannot lock', 'permanent'],
  [0x12, 'ATTRIBUTE_TYPE_INVALID', 'the object has no such attribute', 'permanent'],
  [0x13, 'ATTRIBUTE_VALUE_INVALID', 'the token does not take the attribute’s value', 'permanent'],
  [0x20, 'DATA_INVALID', 'the token does not take the data', 'permanent'],
  [0x21, 'DATA_LEN_RANGE', 'the data is too long or too short', 'permanent'],
  [0x60, 'KEY_HANDLE_INVALID', 'there is no such key', 'permanent'],
  [0x62, 'KEY_SIZE_RANGE', 'the token does not take the key size', 'permanent'],
  [0x63, 'KEY_TYPE_INCONSISTENT', 'the key is not of the kind that the mechanism needs', 'permanent'],
  [0x82, 'OBJECT_HANDLE_INVALID', 'there is no such object', 'permanent'],
  [0xc0, 'SIGNATURE_INVALID', 'the signature is wrong', 'permanent'],
  [0xd0, 'TEMPLATE_INCOMPLETE', 'the token wants more attributes', 'permanent'],
  [0xd1, 'TEMPLATE_INCONSISTENT', 'the token does not take the attributes together', 'permanent'],
  [0x150, 'BUFFER_TOO_SMALL', 'the answer is longer than expected', 'permanent'],
  // One operation at a time in a session; only a defect of Capstan or of the library leaves one open.
  [0x90, 'OPERATION_ACTIVE', 'another operation is not finished', 'permanent'],
  [0x91, 'OPERATION_NOT_INITIALIZED', 'the operation was not started', 'permanent'],
  [0x190, 'CRYPTOKI_NOT_INITIALIZED', 'the library is not initialised', 'permanent'],
  [0x191, 'CRYPTOKI_ALREADY_INITIALIZED', 'the library is initialised already', 'permanent'],
  // A defect of the library’s own locking, and a choice that only a person can take back.
  [0x1a1, 'MUTEX_NOT_LOCKED', 'the library lost a lock', 'permanent'],
  [0x200, 'FUNCTION_REJECTED', 'a person at the token declined', 'permanent'],
];

const TABLE = new Map(ROWS.map((row) => [row[0], fromRow(row)]));

function fromRow([, name, meaning, lasting, more]: Row): ReturnCode {
  const code = `pkcs11-${name.toLowerCase().replaceAll('_', '-')}`;
  return { name: `CKR_${name}`, code, meaning, transient: lasting === 'transient', ...more };
}

/** The meaning of a return code. Vendors have their own from 0x80000000 on; those say as much. */
export function returnCode(value: number): ReturnCode {
  const known = TABLE.get(value);
  if (known) return known;
  const isVendor = value >= 0x8000_0000;
  return {
    name: `${isVendor ? 'vendor code' : 'code'} 0x${value.toString(16).padStart(8, '0')}`,
    code: 'pkcs11-unknown',
    meaning: isVendor ? 'an error that only the vendor’s manual explains' : 'an error without a common name',
    transient: false,
    next: SEE_VENDOR,
  };
}
