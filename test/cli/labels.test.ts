import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { InvalidArgumentError } from 'commander';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readLabels } from '../../src/cli/labels.ts';
import { refuses, withFolder } from '../helpers.ts';
import { dinov2 } from './helpers.ts';

test('names are read one a line, from a JSON array, and from an object by number', () =>
  withFolder(async (folder) => {
    const file = join(folder, 'labels');
    for (const text of ['tench\ngreat white shark\n', '["tench", "great white shark"]', '{"1": "great white shark", "0": "tench"}']) {
      writeFileSync(file, text);
      assert.equal(await readLabels(file), { config: { id2label: { 0: 'tench', 1: 'great white shark' } } }, text);
    }
    assert.equal(await readLabels(undefined), {});
  }));

test('what is no list of names is refused by its file', () =>
  withFolder(async (folder) => {
    const file = join(folder, 'labels');
    for (const [text, part] of [
      ['', 'a name a line'],
      ['[1, 2]', 'a JSON array of names'],
      ['{"1": "a", "2": "b"}', 'by number from 0 on'],
      ['a\n\nb', 'a name a line'],
      ['["a", ', 'line 1'],
    ] as const) {
      writeFileSync(file, text);
      await refuses(() => readLabels(file), InvalidArgumentError, `--labels ${file}`, part);
    }
    await refuses(() => readLabels(join(folder, 'nope')), InvalidArgumentError, 'nope', 'no such file');
  }));

test('a command says what is wrong with them', () =>
  withFolder(async (folder) => {
    const { code, stderr } = await dinov2(['classify', join(folder, 'nope.png'), '--labels', folder, '--threads', '1']);
    assert.is(code, 2);
    assert.match(stderr, `--labels ${folder}: expected a file of names`);
  }));

test.run();
