import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { INDEX_FILE } from '../../src/cli/indexFile.ts';
import { dinov2, Recorder, type Workplace, withWorkplace } from './helpers.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** A decoder for files of three numbers, the bytes of a grey picture. */
const DECODER = `
export const extensions = ['num'];
export function decode(bytes) {
  const numbers = new TextDecoder().decode(bytes).split(' ').map(Number);
  if (numbers.length !== 3 || numbers.some(Number.isNaN)) throw new Error('no three numbers');
  return { data: Uint8Array.from({ length: 12 * 12 * 3 }, (_, i) => numbers[i % 3]), width: 12, height: 12, channels: 3 };
}
`;

test('images that are read ahead give what each gives alone', () =>
  withWorkplace(async ({ model, picture }) => {
    const images = Array.from({ length: 20 }, (_, i) => picture(`${i}.png`, { width: 16 + i, height: 90 - 3 * i }));
    for (const command of ['embed', 'classify', 'features']) {
      const together = await dinov2([command, ...images, '--model', model, '--json']);
      assert.equal([together.code, together.stderr], [0, '']);
      const alone: unknown[] = [];
      for (const image of images) alone.push(...JSON.parse((await dinov2([command, image, '--model', model, '--json'])).stdout));
      assert.equal(JSON.parse(together.stdout), alone, command);
    }
  }));

test('what was spent on several images is told: the model, the wait for images, their decoding', () =>
  withWorkplace(async ({ folder, model, picture, path }) => {
    mkdirSync(path('photos'));
    for (let i = 0; i < 3; i++) picture(`photos/${i}.png`);
    const line =
      /[\d.]+ s: model [\d.]+ s \(\d+ % of the time\), waited [\d.]+ s for images, which were read in [\d.]+ s and decoded in [\d.]+ s\n/;
    const embedded = await dinov2(['embed', path('photos'), '--model', model, '--output', path('out.npy')]);
    assert.match(embedded.stderr, line);
    assert.match((await dinov2(['index', path('photos'), '--model', model])).stdout, line);
    assert.not.match((await dinov2(['index', path('photos'), '--model', model])).stdout, line, 'nothing was read');
    const { stdout } = await dinov2(['index', path('photos'), '--model', model, '--rebuild', '--json']);
    const { total, reading, decoding, model: forward, waiting } = JSON.parse(stdout).seconds;
    assert.ok([reading, decoding, forward, waiting].every((seconds) => seconds > 0) && forward + waiting <= total, stdout);
    assert.ok(existsSync(join(folder, 'out.npy')));
  }));

test('--decoder reads images of its own kind, in folders too, and reports what it cannot read', () =>
  withWorkplace(async ({ model, path }) => {
    mkdirSync(path('photos'));
    writeFileSync(path('decoder.mjs'), DECODER);
    for (const [name, content] of [
      ['a', '1 2 3'],
      ['b', '200 10 40'],
      ['c', 'nonsense'],
    ]) {
      writeFileSync(path(`photos/${name}.num`), content as string);
    }
    const args = [path('photos'), '--model', model, '--decoder', path('decoder.mjs'), '--json'];
    const { code, stdout, stderr } = await dinov2(['embed', ...args]);
    assert.is(code, 1);
    assert.match(stderr, /c\.num: .*decoder\.mjs.*no three numbers/);
    const [a, b, ...others] = JSON.parse(stdout);
    assert.equal([a.image, b.image, others.length], [path('photos/a.num'), path('photos/b.num'), 0]);
    const alone = await dinov2(['embed', path('photos/b.num'), ...args.slice(1)]);
    assert.equal(JSON.parse(alone.stdout), [b], 'in line');
    assert.is(JSON.parse((await dinov2(['index', ...args])).stdout).images, 2);
    const [inspected] = JSON.parse((await dinov2(['inspect', path('photos/a.num'), ...args.slice(1)])).stdout);
    assert.equal([inspected.format, inspected.width, inspected.height], ['other', 12, 12]);
    const without = await dinov2(['embed', path('photos'), '--model', model]);
    assert.match(without.stderr, 'expected PNG or JPEG files in this folder, found none');
  }));

test('a decoder that is none is refused before anything is read', () =>
  withWorkplace(async ({ model, picture, path }) => {
    writeFileSync(path('none.mjs'), 'export const other = 1;');
    writeFileSync(path('broken.mjs'), 'export function decode( {');
    writeFileSync(path('endings.mjs'), 'export const decode = () => {}; export const extensions = ["*"];');
    for (const [file, message] of [
      ['none.mjs', /none\.mjs: expected a module that exports a function decode\(bytes\).*found exports: other/],
      ['broken.mjs', /broken\.mjs: expected a JavaScript module with a decoder/],
      ['endings.mjs', /endings\.mjs: expected extensions as an array of endings/],
      ['nope.mjs', /nope\.mjs: expected a JavaScript module with a decoder.*Cannot find module/],
    ] as const) {
      const { code, stdout, stderr } = await dinov2(['embed', picture('a.png'), '--model', model, '--decoder', path(file)]);
      assert.equal([code, stdout], [1, '']);
      assert.match(stderr, message);
    }
  }));

test('an image whose thread dies is listed, and the others are indexed', () =>
  withWorkplace(async ({ model, path }) => {
    mkdirSync(path('photos'));
    writeFileSync(path('decoder.mjs'), DECODER.replace('const numbers', 'if (bytes[0] === 0x39) process.exit(3);\n  const numbers'));
    for (let i = 0; i < 10; i++) writeFileSync(path(`photos/${i}.num`), `${i} 2 3`);
    const { code, stdout, stderr } = await dinov2(['index', path('photos'), '--model', model, '--decoder', path('decoder.mjs')]);
    assert.is(code, 1);
    assert.match(stdout, '9 images in the index: 9 embedded');
    assert.match(stderr, /9\.num: .*expected a thread to read the picture, found that it ended \(it exited with code 3\)/);
  }));

test('an interrupt ends the wait for an image whose decoder hangs', () =>
  withWorkplace(async ({ model, path }) => {
    mkdirSync(path('photos'));
    writeFileSync(path('decoder.mjs'), `${DECODER}\n`.replace('const numbers', 'if (bytes[0] === 0x31) for (;;);\n  const numbers'));
    for (let i = 0; i < 3; i++) writeFileSync(path(`photos/${i}.num`), `${i} 2 3`);
    const work = new AbortController();
    const stdout = new Recorder({ fail: () => void setTimeout(() => work.abort(), 100) });
    const args = ['embed', path('photos'), '--model', model, '--decoder', path('decoder.mjs')];
    const outcome = await dinov2(args, { stdout, signal: work.signal });
    assert.equal([outcome.code, outcome.stderr, outcome.stdout.split('\n').length], [1, 'dinov2: interrupted\n', 2]);
  }));

/** A program under `script` of util-linux, which gives it a terminal of its own, and what that shows. */
class PseudoTerminal {
  shown = '';
  readonly #child: ChildProcess;

  constructor(command: readonly string[]) {
    const line = command.map((word) => `'${word}'`).join(' ');
    const env = { ...process.env, TERM: 'xterm', COLUMNS: '120', LINES: '30' };
    this.#child = spawn('script', ['--quiet', '--return', '--flush', '--command', `stty cols 120 rows 30; exec ${line}`, '/dev/null'], {
      cwd: ROOT,
      env,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.shown += text;
    });
  }

  type(keys: string): void {
    this.#child.stdin?.write(keys);
  }

  /** Waits until there is what is waited for. */
  async until(isThere: () => boolean): Promise<void> {
    for (let i = 0; !isThere(); i++) {
      if (i > 3000 || this.#child.exitCode !== null) throw new Error(`it did not come: ${this.shown}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** The exit code; 128 and its number for a signal. */
  async end(): Promise<number | null> {
    if (this.#child.exitCode !== null) return this.#child.exitCode;
    return new Promise((resolve) => this.#child.once('close', resolve));
  }
}

function hasScript(): boolean {
  try {
    return execFileSync('script', ['--version'], { encoding: 'utf8' }).includes('util-linux');
  } catch {
    return false;
  }
}

/** A folder with pictures that take a while. */
function slowPhotos({ picture, path }: Workplace, count: number): string {
  mkdirSync(path('photos'));
  for (let i = 0; i < count; i++) picture(`photos/${i}.png`, { width: 500, height: 400 });
  return path('photos');
}

if (hasScript()) {
  test('on a terminal: a bar with rate and remaining time; Ctrl-C stops cleanly, and the next run goes on', () =>
    withWorkplace(async (place) => {
      const count = 24;
      const folder = slowPhotos(place, count);
      const command = [process.execPath, 'dist/cli/main.js', 'index', folder, '--model', place.model];
      const journal = join(folder, `${INDEX_FILE}.journal`);

      const first = new PseudoTerminal(command);
      await first.until(() => (statSync(journal, { throwIfNoEntry: false })?.size ?? 0) > 300); // some images are in it
      await first.until(() => /█.* \d+ of 24 images, [\d.]+ a second, \d+ s left/.test(first.shown));
      first.type('\x03');
      assert.is(await first.end(), 130, first.shown);
      assert.match(first.shown, 'dinov2: interrupted');
      assert.ok(first.shown.lastIndexOf('\x1b[?7h') > first.shown.lastIndexOf('\x1b[?7l'), 'lines are wrapped again');
      assert.not.match(first.shown.slice(first.shown.indexOf('interrupted')), '█');
      assert.equal(
        readdirSync(folder).filter((name) => !name.endsWith('.png')),
        [`${INDEX_FILE}.journal`],
      );

      const second = new PseudoTerminal(command);
      assert.is(await second.end(), 0, second.shown);
      const added = Number(/24 images in the index: (\d+) embedded/.exec(second.shown)?.[1]);
      assert.ok(added > 0 && added < count, second.shown);
      renameSync(join(folder, INDEX_FILE), place.path('resumed'));
      await dinov2(['index', folder, '--model', place.model]);
      assert.equal(readFileSync(place.path('resumed')), readFileSync(join(folder, INDEX_FILE)), 'as if it had not been interrupted');
    }));
} else {
  console.warn('script of util-linux is not here: the command was not tried on a pseudo terminal');
}

test('where nobody looks, lines tell the progress, and there is no bar', () =>
  withWorkplace(async (place) => {
    const folder = slowPhotos(place, 3);
    const { now } = performance;
    let at = 0;
    performance.now = () => now.call(performance) + at++ * 3000; // as if each look at the clock took 3 s
    try {
      const { stderr } = await dinov2(['index', folder, '--model', place.model]);
      assert.match(stderr, /^dinov2: \d of 3 images, [\d.]+ a second, \d+ s left\n/m);
      assert.not.ok(stderr.includes('█') || stderr.includes('\x1b'));
    } finally {
      performance.now = now;
    }
  }));

test.run();
