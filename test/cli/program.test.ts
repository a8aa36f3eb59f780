import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { dinov2, type Workplace, withWorkplace } from './helpers.ts';

const COMMANDS = ['embed', 'classify', 'features', 'inspect'];

test('--version prints that of package.json', async () => {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
  assert.equal(await dinov2(['--version']), { code: 0, stdout: `${version}\n`, stderr: '' });
});

test('--help names the commands, and of each the options with examples', async () => {
  const { code, stdout, stderr } = await dinov2(['--help']);
  assert.equal([code, stderr], [0, '']);
  for (const command of COMMANDS) {
    assert.match(stdout, `  ${command} `);
    const help = await dinov2([command, '--help']);
    assert.equal([help.code, help.stderr], [0, '']);
    for (const part of ['--model', '--json', '--output', 'Examples:', `dinov2 ${command} `]) assert.match(help.stdout, part);
  }
});

test('the examples that help gives work', async () => {
  await withWorkplace(async ({ model, picture, path }) => {
    for (const name of ['cat.jpg', 'dog.png', 'photos/1.png']) {
      mkdirSync(dirname(path(name)), { recursive: true });
      picture(name);
    }
    renameSync(model, path('dinov2-small'));
    for (const command of COMMANDS) {
      const { stdout } = await dinov2([command, '--help']);
      for (const [, line = ''] of stdout.matchAll(/^ {2}dinov2 (.*)$/gm)) {
        const args = line
          .replaceAll('"', '')
          .replace(/ (cat|dog|photos|labels|pictures|dinov2-small)\b/g, (name) => ` ${path(name.trim())}`);
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
