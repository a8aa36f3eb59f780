import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { lineOf, Pipe } from '../../src/cli/terminal.ts';
import { HostError, ImageError } from '../../src/errors.ts';
import { refuses } from '../helpers.ts';
import { errno, Recorder } from './helpers.ts';

test('a pipe closes when nobody reads it, and takes no more', async () => {
  const stream = new Recorder({ fail: (writes) => (writes === 2 ? errno('EPIPE') : undefined) });
  const pipe = new Pipe(stream);
  await pipe.write('a');
  assert.ok(pipe.isOpen);
  await pipe.write('b');
  assert.not.ok(pipe.isOpen);
  await pipe.write('c');
  assert.is(stream.text, 'a');
});

test('other errors of a pipe are thrown by name', async () => {
  const pipe = new Pipe(new Recorder({ fail: () => errno('ENOSPC') }));
  await refuses(() => pipe.write('a'), HostError, 'standard output', 'ENOSPC');
});

test('an error is one line, with the image it is about', () => {
  assert.is(lineOf(new ImageError('a.png: no\n  picture')), 'dinov2: a.png: no picture\n');
  assert.is(lineOf(new ImageError('a.png: no picture'), 'a.png'), 'dinov2: a.png: no picture\n');
  assert.is(lineOf(new ImageError('too small'), 'a.png'), 'dinov2: a.png: too small\n');
});

test('what is no error of the library is called unexpected, without a stack', () => {
  assert.is(lineOf(new TypeError('x is not a function'), 'a.png'), 'dinov2: a.png: unexpected error: TypeError: x is not a function\n');
});

test.run();
