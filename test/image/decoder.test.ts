import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, ImageError, LimitError } from '../../src/errors.ts';
import { decodeOf } from '../../src/image/decoder.ts';
import { refuses } from '../helpers.ts';

const BYTES = Uint8Array.of(1, 2, 3);

test('the function decode of a module is given the bytes, and may take its time', async () => {
  const decode = (data: Uint8Array) => ({ data, width: 1, height: 1, channels: 3 });
  assert.is((await decodeOf({ decode }, 'own.js')(BYTES)).data, BYTES);
  assert.is((await decodeOf({ decode: async (bytes: Uint8Array) => decode(bytes) }, 'own.js')(BYTES)).data, BYTES);
});

test('a module without one is refused with what it exports', async () => {
  await refuses(() => decodeOf({ default: 1, read: 2 }, 'own.js'), ArgumentError, 'own.js: expected', 'found exports: default, read');
  await refuses(() => decodeOf({}, 'own.js'), ArgumentError, 'found exports: nothing');
  await refuses(() => decodeOf({ decode: 'x' }, 'own.js'), ArgumentError, 'found exports: decode');
});

test('what a decoder throws is an ImageError that names the module, unless it is an error of the library', async () => {
  const throwing = (thrown: unknown) =>
    decodeOf(
      {
        decode: () => {
          throw thrown;
        },
      },
      'own.js',
    );
  const cause = new RangeError('no such colour');
  const expected = 'expected a picture that the decoder of own.js reads, found: ';
  await refuses(() => throwing(cause)(BYTES), ImageError, `${expected}no such colour`);
  assert.is(((await Promise.resolve(throwing(cause)(BYTES)).catch((error) => error)) as Error).cause, cause);
  await refuses(() => throwing('nothing')(BYTES), ImageError, `${expected}nothing`);
  await refuses(() => throwing(undefined)(BYTES), ImageError, `${expected}undefined`);
  await refuses(() => throwing(new LimitError('too large'))(BYTES), LimitError, 'too large');
});

test.run();
