import { copyFileSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { goldenPath } from '../helpers.ts';
import { depthModel, dinov2, encoderFolder, type Workplace, withWorkplace } from './helpers.ts';

/** Those that take images. */
const COMMANDS = ['embed', 'classify', 'features', 'inspect'];
/** All, in the order of help. */
const ALL = ['embed', 'classify', 'features', 'depth', 'segment', 'probe fit', 'probe test', 'inspect'];

test('--version prints that of package.json', async () => {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
  assert.equal(await dinov2(['--version']), { code: 0, stdout: `${version}\n`, stderr: '' });
});

test('--help names the commands, and of each the options with examples', async () => {
  const { code, stdout, stderr } = await dinov2(['--help']);
  assert.equal([code, stderr], [0, '']);
  for (const command of ALL) {
    assert.match(stdout, `  ${command.split(' ')[0]} `);
    const help = await dinov2([...command.split(' '), '--help']);
    assert.equal([help.code, help.stderr], [0, '']);
    for (const part of ['--model', '--json', '--output', 'Examples:', `dinov2 ${command} `]) assert.match(help.stdout, part);
  }
});

test('the examples that help gives work', async () => {
  await withWorkplace(async ({ model, picture, path }) => {
    const pets = ['pets', 'more-pets'].flatMap((folder) =>
      ['cats/1.png', 'cats/2.png', 'dogs/3.jpg', 'dogs/4.jpg'].map((name) => `${folder}/${name}`),
    );
    for (const name of ['cat.jpg', 'dog.png', 'photos/1.png', ...pets]) {
      mkdirSync(dirname(path(name)), { recursive: true });
      picture(name, { width: 20, height: 16 });
    }
    renameSync(model, path('dinov2-small'));
    await depthModel(path('depth-anything-v2-small-hf'));
    renameSync(await encoderFolder(path('encoder')), path('dinov2_vits14_pretrain.pth'));
    copyFileSync(goldenPath('fb-segment-linear/model.pth'), path('dinov2_vits14_ade20k_linear_head.pth'));
    for (const command of [...ALL.filter((name) => name === 'probe fit'), ...ALL]) {
      const { stdout } = await dinov2([...command.split(' '), '--help']);
      for (const [, line = ''] of stdout.matchAll(/^ {2}dinov2 (.*)$/gm)) {
        const args = line
          .replaceAll('"', '')
          .replace(
            / (cat|dog|photos|labels|pictures|pets|more-pets|neighbours|dinov2-small|depth-anything-v2-small-hf|depth(?=\.)|dinov2_vits14_\w+(?=\.))\b/g,
            (name) => ` ${path(name.trim())}`,
          );
        const { code, stderr } = await dinov2(args.split(' '));
        assert.is(code, 0, `${args}: ${stderr}`);
      }
    }
  });
});

for (const [what, args, parts] of [
  ['no command', [], ['Usage:']],
  ['an unknown command', ['embd', 'a.png'], ["unknown command 'embd'", 'embed']],
  ['an unknown option', ['embed', 'a.png', '--pool', 'cls'], ["unknown option '--pool'"]],
  ['no image', ['embed'], ["missing required argument 'image'"]],
  ['an option without its value', ['embed', 'a.png', '--model'], ["'--model <model>' argument missing"]],
  ['an unknown choice', ['embed', 'a.png', '--pooling', 'max'], ["'max'", 'cls, mean, both']],
  ['a number that is none', ['classify', 'a.png', '--top', 'five'], ["'five'", 'integer of at least 1']],
  ['a number that is too small', ['classify', 'a.png', '--top', '0'], ["'0'", 'integer of at least 1']],
  ['a fraction', ['features', 'a.png', '--layer', '1.5'], ["'1.5'", 'integer']],
  ['an unknown ending', ['embed', 'a.png', '--output', 'a.csv'], ["'a.csv'", '.npy, .safetensors, .json, .jsonl']],
  ['a classifier without a file to write', ['probe', 'fit', 'pets'], ["required option '--output <path>'"]],
  ['a number that is not above 0', ['probe', 'fit', 'p', '--output', 'a.safetensors', '--regularization', '-1'], ["'-1'", 'above 0']],
  ['a test without a classifier', ['probe', 'test', 'pets'], ["required option '--head <file>'"]],
  ['a group without a command of it', ['probe'], ['Usage:', 'fit', 'test']],
  ['an ending that the command cannot write', ['inspect', 'a.png', '--output', 'a.npy'], ["'a.npy'", '.json, .jsonl']],
] as const) {
  test(`${what} is a mistake of usage: 2, and a line that says so`, async () => {
    const { code, stdout, stderr } = await dinov2(args);
    assert.equal([code, stdout], [2, '']);
    for (const part of parts) assert.match(stderr, part);
    assert.not.match(stderr, /\n\s+at /);
  });
}

/** Each of these is bad input to every command: 1, and on stderr one line that has all the parts. */
const BAD_INPUT: readonly [what: string, args: (place: Workplace) => string[], parts: string[]][] = [
  ['an image that is not there', ({ model, path }) => [path('nope.png'), '--model', model], ['nope.png', 'found none']],
  [
    'a truncated image',
    ({ model, picture }) => {
      const path = picture('cut.png');
      writeFileSync(path, readFileSync(path).subarray(0, 60));
      return [path, '--model', model];
    },
    ['cut.png', 'truncated'],
  ],
  [
    'a file that is no image',
    ({ model, path }) => {
      writeFileSync(path('text.png'), 'no\npicture');
      return [path('text.png'), '--model', model];
    },
    ['text.png', 'PNG or JPEG'],
  ],
  ['a pattern that matches nothing', ({ model, path }) => [path('*.jpg'), '--model', model], ['*.jpg', 'found none']],
  ['a folder without images', ({ model }) => [model, '--model', model], ['PNG or JPEG files in this folder', 'found none']],
  ['a model that is not there', ({ picture, path }) => [picture('a.png'), '--model', path('nope')], ['nope', 'found neither']],
  ['a folder without a model', ({ picture, folder }) => [picture('a.png'), '--model', folder], [' with preprocessor_config.json']],
  [
    'a model with truncated weights',
    ({ picture, model }) => {
      writeFileSync(`${model}/model.safetensors`, readFileSync(`${model}/model.safetensors`).subarray(0, 100));
      return [picture('a.png'), '--model', model];
    },
    ['model.safetensors', 'truncated'],
  ],
  [
    'an output below a file',
    ({ model, picture }) => [picture('a.png'), '--model', model, '--output', `${picture('b.png')}/a.json`],
    ['b.png/a.json'],
  ],
  [
    'an output that is a folder',
    ({ model, picture, path }) => {
      mkdirSync(path('d.json'));
      return [picture('a.png'), '--model', model, '--output', path('d.json')];
    },
    ['d.json', 'found a folder'],
  ],
];

for (const [what, args, parts] of BAD_INPUT) {
  test(`${what} is bad input: 1, a line that says so, and nothing left behind`, async () => {
    for (const command of COMMANDS) {
      await withWorkplace(async (place) => {
        const given = args(place);
        const before = readdirSync(place.folder, { recursive: true });
        const { code, stdout, stderr } = await dinov2([command, ...given]);
        assert.equal([code, stdout], [1, ''], command);
        assert.is(stderr.match(/\n/g)?.length, 1, stderr);
        for (const part of parts) assert.ok(stderr.includes(part), `${command}: expected "${part}" in "${stderr}"`);
        assert.equal(readdirSync(place.folder, { recursive: true }), before);
      });
    }
  });
}

test.run();
