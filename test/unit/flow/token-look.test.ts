import { expect, test } from 'vitest';
import { failure } from '../../../src/errors.ts';
import { seen } from '../../../src/flow/token-look.ts';

const host = { signal: new AbortController().signal };

/** Looks that fail with these codes, one after another, and then see the token. */
function looks(...codes: string[]) {
  let made = 0;
  const look = async () => {
    const code = codes[made];
    made += 1;
    if (code !== undefined) throw failure(code, code);
    return 'the token';
  };
  return { look, made: () => made };
}

test('a token that is not seen for a moment is looked for again', async () => {
  const { look, made } = looks('token-not-found', 'token-not-found');
  await expect(seen(host, look)).resolves.toBe('the token');
  expect(made()).toBe(3);
});

test('one that is away is told to be away', async () => {
  const { look, made } = looks(...Array.from({ length: 9 }, () => 'token-not-found'));
  await expect(seen(host, look)).rejects.toMatchObject({ code: 'token-not-found' });
  expect(made()).toBe(3);
});

test('a PIN that was refused is not tried again', async () => {
  const { look, made } = looks('pin-incorrect');
  await expect(seen(host, look)).rejects.toMatchObject({ code: 'pin-incorrect' });
  expect(made()).toBe(1);
});
