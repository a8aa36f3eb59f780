import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Classification } from '../../src/tasks/index.ts';
import { randomPixels } from '../image/helpers.ts';
import { encodePng } from '../reference/png.ts';
import { dinov2, Recorder, type Workplace, withWorkplace } from './helpers.ts';

/** Pictures that are mostly bright, or mostly dark: what any encoder can tell apart. */
function paint(path: string, kind: 'bright' | 'dark', seed: number): void {
  const pixels = randomPixels(16, 12, 3, seed);
  const data = pixels.data.map((byte) => (kind === 'bright' ? 200 + byte / 8 : byte / 8));
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, encodePng({ ...pixels, bitDepth: 8, colorType: 2, samples: data }));
}

/** A folder of so many pictures a class. */
function labelled({ path }: Workplace, name: string, count: number, seed = 0): string {
  for (let i = 0; i < count; i++) {
    paint(path(`${name}/bright/${i}.png`), 'bright', seed + 2 * i);
    paint(path(`${name}/dark/in/${i}.png`), 'dark', seed + 2 * i + 1);
  }
  return path(name);
}

for (const classifier of ['linear', 'knn']) {
  test(`from labelled folders to a ${classifier} classifier in one command, and to labels with another`, async () => {
    await withWorkplace(async (place) => {
      const { model, path } = place;
      const head = path('head.safetensors');
      const fit = ['probe', 'fit', labelled(place, 'fit', 6), '--model', model, '--output', head, '--classifier', classifier];
      const fitted = await dinov2(fit);
      assert.equal([fitted.code, fitted.stderr], [0, '']);
      assert.match(fitted.stdout, '12 images of 2 classes');
      assert.match(fitted.stdout, classifier === 'linear' ? 'cross-validation: 100.0 % right' : 'nearest neighbours: 20 vote');
      assert.match(fitted.stdout, `written to ${head}\n`);

      const folder = labelled(place, 'test', 4, 100);
      const tested = await dinov2(['probe', 'test', folder, '--model', model, '--head', head]);
      assert.equal([tested.code, tested.stderr], [0, '']);
      assert.match(tested.stdout, '100.0 % of 8 images are right');
      assert.match(tested.stdout, /bright +4 +100\.0 % +100\.0 %/);
      assert.match(tested.stdout, /dark +2 \. 4/);

      const args = ['classify', path('test/dark/in/0.png'), '--model', model, '--head', head, '--json', '--output', path('scores.jsonl')];
      const { code, stdout } = await dinov2(args);
      assert.is(code, 0);
      const [{ labels }] = JSON.parse(stdout) as [{ labels: [Classification, Classification] }];
      assert.equal([labels[0].label, labels[1].label], ['dark', 'bright']);
      assert.ok(Math.abs(labels[0].score + labels[1].score - 1) < 1e-6);
      assert.ok(existsSync(path('scores.jsonl')));
    });
  });
}

test('what was fitted and tested is there as JSON too', async () => {
  await withWorkplace(async (place) => {
    const { model, path } = place;
    const head = path('head.safetensors');
    const fit = await dinov2(['probe', 'fit', labelled(place, 'fit', 3), '--model', model, '--output', head, '--json']);
    const { classes, validations, regularization, width, isConverged } = JSON.parse(fit.stdout);
    assert.equal(
      [classes, width, isConverged],
      [
        [
          { label: 'bright', images: 3 },
          { label: 'dark', images: 3 },
        ],
        16,
        true,
      ],
    );
    assert.ok(validations.some((one: { regularization: number }) => one.regularization === regularization));
    const args = ['probe', 'test', path('fit'), '--model', model, '--head', head, '--json', '--output', path('result.json')];
    const evaluation = JSON.parse((await dinov2(args)).stdout);
    assert.equal(
      [evaluation.accuracy, evaluation.confusion],
      [
        1,
        [
          [3, 0],
          [0, 3],
        ],
      ],
    );
    assert.equal(JSON.parse(readFileSync(path('result.json'), 'utf8')), evaluation);
  });
});

test('a folder gets the whole model, which classifies as the encoder with the classifier', async () => {
  await withWorkplace(async (place) => {
    const { model, path } = place;
    const fit = ['probe', 'fit', labelled(place, 'fit', 3), '--model', model, '--output'];
    assert.is((await dinov2([...fit, path('head.safetensors')])).code, 0);
    const { code, stdout } = await dinov2([...fit, path('whole')]);
    assert.is(code, 0);
    assert.match(stdout, `written to ${path('whole')}\n`);
    assert.equal(readdirSync(path('whole')), ['config.json', 'model.safetensors', 'preprocessor_config.json']);
    const image = path('fit/dark/in/0.png');
    const scores = async (args: string[]): Promise<Classification[]> =>
      (JSON.parse((await dinov2(['classify', image, '--json', ...args])).stdout) as [{ labels: Classification[] }])[0].labels;
    const [one, other] = [await scores(['--model', path('whole')]), await scores(['--model', model, '--head', path('head.safetensors')])];
    assert.equal(
      one.map(({ label }) => label),
      ['dark', 'bright'],
    );
    assert.equal(
      other.map(({ label }) => label),
      ['dark', 'bright'],
    );
    assert.ok(Math.abs((one[0]?.score as number) - (other[0]?.score as number)) < 1e-6);

    const knn = await dinov2([...fit, path('neighbours'), '--classifier', 'knn']);
    assert.is(knn.code, 1);
    assert.match(knn.stderr, 'neighbours: expected the name of a .safetensors file');
  });
});

test('the same folder gives the same file', async () => {
  await withWorkplace(async (place) => {
    const { model, path } = place;
    const folder = labelled(place, 'fit', 3);
    for (const name of ['a', 'b']) await dinov2(['probe', 'fit', folder, '--model', model, '--output', path(`${name}.safetensors`)]);
    assert.ok(readFileSync(path('a.safetensors')).equals(readFileSync(path('b.safetensors'))));
  });
});

test('a given regularization is taken as it is', async () => {
  await withWorkplace(async (place) => {
    const args = ['probe', 'fit', labelled(place, 'fit', 1), '--model', place.model, '--output', place.path('a.safetensors')];
    const { code, stdout } = await dinov2([...args, '--regularization', '0.5']);
    assert.is(code, 0);
    assert.match(stdout, 'regularization 0.5\n');
    assert.not.match(stdout, 'cross-validation');
    const without = await dinov2(args);
    assert.is(without.code, 1);
    assert.match(without.stderr, 'class "bright": expected two pictures at least');
  });
});

test('what cannot be used is listed at the end, and the rest is', async () => {
  await withWorkplace(async (place) => {
    const { model, path } = place;
    const folder = labelled(place, 'fit', 3);
    writeFileSync(path('fit/dark/broken.png'), 'broken');
    mkdirSync(path('fit/empty'));
    mkdirSync(path('fit/.hidden'));
    paint(path('fit/.hidden/a.png'), 'dark', 1);
    paint(path('fit/loose.png'), 'dark', 2);
    const { code, stdout, stderr } = await dinov2(['probe', 'fit', folder, '--model', model, '--output', path('a.safetensors')]);
    assert.is(code, 1);
    assert.match(stdout, '6 images of 2 classes');
    const lines = stderr.trimEnd().split('\n');
    for (const part of ['fit/empty: expected PNG', 'found 1 beside: left out', 'broken.png: expected a PNG or JPEG']) {
      assert.ok(
        lines.some((line) => line.includes(part)),
        `${part} in ${stderr}`,
      );
    }
    assert.is(lines.length, 3);
    assert.ok(existsSync(path('a.safetensors')));
  });
});

test('bad input: 1, a line that says so, and nothing left behind', async () => {
  await withWorkplace(async (place) => {
    const { model, path } = place;
    const folder = labelled(place, 'fit', 2);
    const other = labelled(place, 'other', 1);
    paint(path('other/gray/0.png'), 'dark', 5);
    mkdirSync(path('one/class'), { recursive: true });
    paint(path('one/class/0.png'), 'dark', 6);
    mkdirSync(path('taken.safetensors'));
    const head = path('head.safetensors');
    const knn = path('knn.safetensors');
    await dinov2(['probe', 'fit', folder, '--model', model, '--output', head]);
    await dinov2(['probe', 'fit', folder, '--model', model, '--output', knn, '--classifier', 'knn']);
    const before = readdirSync(place.folder, { recursive: true });
    const output = ['--output', path('new.safetensors'), '--model', model];
    for (const [args, parts] of [
      [['fit', path('nope'), ...output], ['nope: expected a folder with a folder of images for each class, found no folder']],
      [['fit', path('fit/bright'), ...output], ['fit/bright: expected a folder with a folder']],
      [['fit', path('one'), ...output], ['one: expected folders of two classes at least, found 1']],
      [['fit', folder, '--output', path('taken.safetensors')], ['taken.safetensors: expected the name of a file to write, found a folder']],
      [['fit', folder, '--output', `${head}/a.safetensors`], ['head.safetensors/a.safetensors: expected a place that can be written']],
      [['test', folder, '--head', path('nope'), '--model', model], ['nope: expected']],
      [
        ['test', other, '--head', head, '--model', model],
        ['expected folders named as the classes', 'bright, dark, found "gray"'],
      ],
      [
        ['test', folder, '--head', head, '--model', 'weights'],
        [head, 'features of 16 numbers', 'give that --model'],
      ],
      [
        ['test', folder, '--head', knn, '--model', 'weights'],
        [knn, 'features of 8 numbers'],
      ],
    ] as const) {
      const { code, stdout, stderr } = await dinov2(['probe', ...args]);
      assert.equal([code, stdout], [1, ''], args.join(' '));
      for (const part of parts) assert.ok(stderr.includes(part), `${args.join(' ')}: expected "${part}" in "${stderr}"`);
      assert.is(stderr.match(/\n/g)?.length, 1, stderr);
    }
    assert.equal(readdirSync(place.folder, { recursive: true }), before);
  });
});

test('an interrupt leaves nothing behind; a bar shows the progress where stderr is a terminal', async () => {
  await withWorkplace(async (place) => {
    const args = ['probe', 'fit', labelled(place, 'fit', 3), '--model', place.model, '--output', place.path('a.safetensors')];
    const { stderr } = await dinov2(args, { stderr: new Recorder({ isTTY: true }) });
    assert.match(stderr, 'of 6 images');
    assert.match(stderr, '% of the fit');
    const work = new AbortController();
    work.abort();
    const before = readFileSync(place.path('a.safetensors'));
    const outcome = await dinov2(args, { signal: work.signal });
    assert.equal([outcome.code, outcome.stderr], [1, 'dinov2: interrupted\n']);
    assert.ok(readFileSync(place.path('a.safetensors')).equals(before));
  });
});

test.run();
