import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FORMATS, fileSink, formatOf, type Result, stdoutSink } from '../../src/cli/results.ts';
import { Pipe } from '../../src/cli/terminal.ts';
import { ArgumentError } from '../../src/errors.ts';
import { refuses, withFolder } from '../helpers.ts';
import { randomFloats } from '../reference/random.ts';
import { Recorder } from './helpers.ts';

function result(image: string, values: readonly number[]): Result {
  return { image, text: `${image}!`, fields: () => ({ values }) };
}

test('the ending of a name says the format, in any case', () => {
  for (const format of FORMATS) assert.is(formatOf(`photos.${format.toUpperCase()}`, FORMATS), format);
  for (const name of ['photos.csv', 'npy', 'json.txt', 'photos.npy.gz', '']) assert.is(formatOf(name, FORMATS), undefined, name);
});

test('a file with another ending is refused before it is made', async () => {
  await withFolder(async (folder) => {
    await refuses(() => fileSink(`${folder}/a.npy`, ['json']), ArgumentError, 'output', '.json', 'a.npy');
  });
});

for (const images of [[], ['a'], ['a', 'b', 'c']]) {
  test(`JSON of ${images.length} results is an array of as many`, async () => {
    const stream = new Recorder();
    const sink = stdoutSink(new Pipe(stream), { json: true });
    for (const image of images) await sink.write(result(image, []));
    await sink.close();
    assert.equal(
      JSON.parse(stream.text),
      images.map((image) => ({ image, values: [] })),
    );
    assert.ok(stream.text.endsWith('\n'));
  });
}

test('float32 numbers come back from JSON as they were, and whole numbers of any size too', async () => {
  const numbers = [...randomFloats(1000, 1, 1000), ...randomFloats(1000, 2, 1e-30), Math.fround(0.1), 2 ** 53 - 1, -0.5, 123456789012];
  const stream = new Recorder();
  const sink = stdoutSink(new Pipe(stream), { json: true });
  await sink.write(result('a', numbers));
  await sink.close();
  const [{ values }] = JSON.parse(stream.text) as [{ values: number[] }];
  assert.equal(
    values.map((x) => (Number.isInteger(x) ? x : Math.fround(x))),
    numbers,
  );
});

test('text has a line a result', async () => {
  const stream = new Recorder();
  const sink = stdoutSink(new Pipe(stream), { json: false });
  await sink.write(result('a', []));
  await sink.write(result('b', []));
  await sink.close();
  assert.is(stream.text, 'a!\nb!\n');
});

test.run();
