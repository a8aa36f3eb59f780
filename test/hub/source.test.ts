import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { AccessError, ArgumentError, IntegrityError, NetworkError, NotFoundError } from '../../src/errors.ts';
import type { ProgressInfo } from '../../src/hub/progress.ts';
import { openModel } from '../../src/hub/source.ts';
import { AutoImageProcessor, BitImageProcessor } from '../../src/image/processor.ts';
import { AutoModel, AutoModelForImageClassification } from '../../src/models/auto.ts';
import { AutoConfig } from '../../src/models/config.ts';
import { Dinov2Model } from '../../src/models/dinov2.ts';
import { comesTrue, refuses, withFolder } from '../helpers.ts';
import { pixels } from '../models/helpers.ts';
import { assertSameBits } from '../reference/compare.ts';
import { modelFiles } from './helpers.ts';
import { cut, drip, flipped, type HubServer, html, status, withEnvironment, withHub } from './server.ts';

const REPO = 'acme/tiny';
const WEIGHTS = 'model.safetensors';
const FOLDER = 'models--acme--tiny';
const FILES = await modelFiles();
const OTHER = await modelFiles({ seed: 2 });

/** The first output of the model in these files. */
async function outputOf(source: Parameters<typeof AutoModel.from_pretrained>[0], options = {}): Promise<Float32Array> {
  const model = await AutoModel.from_pretrained(source, options);
  const { last_hidden_state } = await model(pixels(1));
  model.dispose();
  return last_hidden_state.data;
}

/** Names of the files that were sent. */
const sent = (hub: HubServer): string[] =>
  hub.asked.filter(({ path }) => path.startsWith('/content/')).map(({ path }) => path.split('/').slice(5).join('/'));

test('a model, its processor and its configuration come from the hub, with the files they need and no others, once', () =>
  withHub(async (hub, { cache }) => {
    const commit = hub.push(REPO, FILES);
    assertSameBits(await outputOf(REPO), await outputOf(FILES));
    assert.equal(sent(hub), ['config.json', WEIGHTS]);
    assert.is((await AutoImageProcessor.from_pretrained(REPO)).crop_size.width, 12);
    assert.is((await BitImageProcessor.from_pretrained(REPO, { crop_size: 8 })).crop_size.width, 8);
    assert.is((await AutoConfig.from_pretrained(REPO, { num_hidden_layers: 1 })).num_hidden_layers, 1);
    await (await Dinov2Model.from_pretrained(REPO)).dispose();
    assert.equal(sent(hub), ['config.json', WEIGHTS, 'preprocessor_config.json']);
    assert.is(readFileSync(join(cache, FOLDER, 'refs', 'main'), 'utf8'), commit);
    assert.is(hub.asked.filter(({ path }) => path.startsWith('/api/')).length, 5, 'one question each');
  }));

test('a sharded checkpoint comes shard by shard', () =>
  withHub(async (hub) => {
    const files = await modelFiles({ shards: true });
    hub.push(REPO, files);
    assertSameBits(await outputOf(REPO), await outputOf(FILES));
    const shards = Object.keys(files).filter((file) => /-of-/.test(file));
    assert.ok(shards.length > 1);
    assert.equal(sent(hub).sort(), ['config.json', 'model.safetensors.index.json', ...shards].sort());
  }));

test('a folder or file of that name comes first, and other strings never reach the network', () =>
  withHub(async (hub) => {
    await withFolder(async (folder) => {
      const before = process.cwd();
      process.chdir(folder);
      try {
        mkdirSync('acme/tiny', { recursive: true });
        for (const [name, content] of Object.entries(FILES)) writeFileSync(join('acme/tiny', name), content);
        assertSameBits(await outputOf(REPO), await outputOf(FILES));
        for (const name of [
          'tiny',
          './acme/none',
          'a/b/c',
          'acme/x..y',
          'acme/a--b',
          'acme/tiny.',
          '/acme/none',
          'acme\\none',
          'acme/no ne',
          '',
        ]) {
          await refuses(() => AutoModel.from_pretrained(name), NotFoundError, `${name}: expected a folder`, '"facebook/dinov2-small"');
        }
      } finally {
        process.chdir(before);
      }
    });
    assert.equal(hub.asked, []);
  }));

test('a branch, a tag and a commit are other revisions; a commit in the cache needs no network', () =>
  withHub(async (hub) => {
    const old = hub.push(REPO, OTHER);
    hub.tag(REPO, 'v1.0');
    hub.push(REPO, FILES);
    const [main, tagged] = [await outputOf(REPO), await outputOf(REPO, { revision: 'v1.0' })];
    assertSameBits(main, await outputOf(FILES));
    assertSameBits(tagged, await outputOf(OTHER));
    const before = hub.asked.length;
    assertSameBits(await outputOf(REPO, { revision: old }), tagged);
    assert.is(hub.asked.length, before);
    await refuses(() => AutoModel.from_pretrained(REPO, { revision: 'v9' }), NotFoundError, '404', '"v9"');
    await refuses(() => AutoModel.from_pretrained(REPO, { revision: '../x' }), ArgumentError, 'revision', '"../x"');
  }));

test('a branch that has moved on is followed', () =>
  withHub(async (hub) => {
    hub.push(REPO, OTHER);
    await outputOf(REPO);
    hub.push(REPO, FILES);
    assertSameBits(await outputOf(REPO), await outputOf(FILES));
    assert.is(hub.count('config.json'), 1, 'what has not changed is not sent again');
    assert.is(hub.count(WEIGHTS), 2);
  }));

test('offline, what is in the cache is used, and what is not is named', () =>
  withHub(async (hub, { cache }) => {
    hub.push(REPO, FILES);
    const local = { local_files_only: true };
    await refuses(() => AutoModel.from_pretrained(REPO, local), NotFoundError, `${REPO}: expected it in ${cache}`, 'local_files_only');
    const loaded = await outputOf(REPO);
    const before = hub.asked.length;
    assertSameBits(await outputOf(REPO, local), loaded);
    await withEnvironment({ HF_HUB_OFFLINE: '1', HF_HUB_CACHE: cache, HF_ENDPOINT: hub.url }, async () => {
      assertSameBits(await outputOf(REPO), loaded);
      await refuses(() => AutoImageProcessor.from_pretrained(REPO), NotFoundError, 'preprocessor_config.json of it', 'HF_HUB_OFFLINE');
    });
    assert.is(hub.asked.length, before);
  }));

test('while the hub cannot be reached, the last known state is used', () =>
  withHub(async (hub, { cache }) => {
    hub.push(REPO, FILES);
    const loaded = await outputOf(REPO);
    await withEnvironment({ HF_ENDPOINT: 'http://127.0.0.1:1', HF_HUB_CACHE: cache }, async () => {
      assertSameBits(await outputOf(REPO), loaded);
      await refuses(() => AutoImageProcessor.from_pretrained(REPO), NetworkError, '127.0.0.1:1', '2 times');
    });
  }));

test('progress is told as transformers.js does', () =>
  withHub(async (hub) => {
    hub.push(REPO, FILES);
    const told: ProgressInfo[] = [];
    const model = await AutoModelForImageClassification.from_pretrained(REPO, { progress_callback: (info) => told.push(info) });
    model.dispose();
    for (const file of ['config.json', WEIGHTS]) {
      const own = told.filter((info) => 'file' in info && info.file === file);
      assert.equal([...new Set(own.map(({ status }) => status))], ['initiate', 'download', 'progress', 'done']);
      const { length } = FILES[file] as Uint8Array;
      assert.equal(own.at(-2), { status: 'progress', name: REPO, file, progress: 100, loaded: length, total: length });
      assert.equal(own.at(-1), { status: 'done', name: REPO, file });
    }
    told.length = 0;
    await AutoConfig.from_pretrained(REPO, { progress_callback: (info) => told.push(info) });
    assert.equal(
      told.map(({ status }) => status),
      ['initiate', 'done'],
    );
  }));

test('a signal breaks a download off with its reason; the next goes on', () =>
  withHub(async (hub) => {
    hub.push(REPO, FILES);
    const controller = new AbortController();
    hub.misbehave(WEIGHTS, drip({ pieces: 20, pause: 10 }));
    const progress_callback = (info: ProgressInfo): void => {
      if (info.status === 'progress' && info.file === WEIGHTS && info.progress > 30) controller.abort(new RangeError('enough'));
    };
    await refuses(() => AutoModel.from_pretrained(REPO, { signal: controller.signal, progress_callback }), RangeError, 'enough');
    assertSameBits(await outputOf(REPO), await outputOf(FILES));
    assert.match(hub.asked.at(-1)?.range ?? '', /^bytes=[1-9]\d*-$/);
  }));

test('a private model needs its token: the option, HF_TOKEN or the file of it', () =>
  withHub(async (hub, { home }) => {
    hub.push(REPO, FILES, { token: 'hf_secret' });
    const here = { HF_ENDPOINT: hub.url, HF_HOME: home };
    await refuses(() => AutoConfig.from_pretrained(REPO), AccessError, REPO, 'set HF_TOKEN');
    await AutoConfig.from_pretrained(REPO, { token: 'hf_secret' });
    await withEnvironment({ ...here, HF_TOKEN: 'hf_secret' }, async () => {
      await AutoConfig.from_pretrained(REPO);
      await refuses(() => AutoConfig.from_pretrained(REPO, { token: false }), AccessError);
      await refuses(() => AutoConfig.from_pretrained(REPO, { token: 'hf_wrong' }), AccessError);
    });
    writeFileSync(join(home, 'token'), 'hf_secret\n');
    await AutoConfig.from_pretrained(REPO);
    writeFileSync(join(home, 'other'), 'hf_secret');
    writeFileSync(join(home, 'token'), 'hf_wrong');
    await withEnvironment({ ...here, HF_TOKEN_PATH: join(home, 'other') }, async () => {
      await AutoConfig.from_pretrained(REPO);
    });
  }));

test('wrong answers are refused, and leave the cache whole', () =>
  withHub(async (hub, { cache }) => {
    hub.push(REPO, FILES);
    hub.misbehave('api', html);
    await refuses(() => AutoModel.from_pretrained(REPO), IntegrityError, 'a web page', 'HF_ENDPOINT');
    for (const [fault, kind] of [
      [html, IntegrityError],
      [flipped(100), IntegrityError],
      [status(404), NotFoundError],
    ] as const) {
      hub.misbehave(WEIGHTS, fault);
      await refuses(() => AutoModel.from_pretrained(REPO), kind, REPO);
      const left = readdirSync(cache, { recursive: true, encoding: 'utf8' });
      assert.ok(!left.some((path) => path.includes('safetensors') || path.includes('incomplete')), left.join());
    }
    hub.misbehave(WEIGHTS, cut(100), status(503), cut(100));
    assertSameBits(await outputOf(REPO), await outputOf(FILES));
  }));

test('a file of the cache that was cut short is downloaded again', () =>
  withHub(async (hub, { cache }) => {
    const commit = hub.push(REPO, FILES);
    const loaded = await outputOf(REPO);
    writeFileSync(join(cache, FOLDER, 'snapshots', commit, WEIGHTS), 'short'); // through the link
    assertSameBits(await outputOf(REPO), loaded);
    assert.is(hub.count(WEIGHTS), 2);
  }));

test('a cache that is not to be written is read', () =>
  withHub(async (hub, { cache }) => {
    hub.push(REPO, FILES);
    const loaded = await outputOf(REPO);
    rmSync(join(cache, FOLDER, 'refs'), { recursive: true });
    writeFileSync(join(cache, FOLDER, 'refs'), ''); // nothing can be written there, even by root
    chmodSync(cache, 0o555);
    assertSameBits(await outputOf(REPO), loaded);
    chmodSync(cache, 0o755);
  }));

test('cache_dir is another cache', () =>
  withHub(async (hub, { home, cache }) => {
    hub.push(REPO, FILES);
    await outputOf(REPO, { cache_dir: join(home, 'other') });
    assert.equal([readdirSync(join(home, 'other')), readdirSync(cache)], [[FOLDER], []]);
    await refuses(() => AutoModel.from_pretrained(REPO, { cache_dir: '' }), ArgumentError, 'cache_dir');
  }));

test('what is no option is refused before the network is used', () =>
  withHub(async (hub) => {
    hub.push(REPO, FILES);
    await refuses(() => Dinov2Model.from_pretrained(REPO, { revison: 'main' } as object), ArgumentError, 'revision', '"revison"');
    await refuses(() => AutoModel.from_pretrained(REPO, { token: 'two words' }), ArgumentError, 'token');
    await refuses(() => AutoModel.from_pretrained(REPO, { signal: {} as AbortSignal }), ArgumentError, 'signal');
    assert.equal(hub.asked, []);
  }));

test('an opened model is a source too, of one commit', () =>
  withHub(async (hub) => {
    hub.push(REPO, OTHER);
    const source = await openModel(REPO);
    hub.misbehave('api', status(404));
    await refuses(() => source.has(WEIGHTS), NotFoundError, '404');
    assert.is(await source.has(WEIGHTS), true);
    hub.push(REPO, FILES);
    assertSameBits(await outputOf(source), await outputOf(OTHER));
    assert.equal(await source.list(), Object.keys(OTHER).sort());
    await refuses(() => source.open('none.json'), NotFoundError, `${REPO}: expected a model with none.json`);
  }));

const LOADER = fileURLToPath(new URL('loader.ts', import.meta.url));

/** Loads the model in another process. */
function startLoader(): { killed: () => void; ended: Promise<{ code: number | null; stdout: string; stderr: string }> } {
  const child = spawn(process.execPath, [...process.execArgv, LOADER, REPO], { stdio: ['ignore', 'pipe', 'pipe'] });
  const [stdout, stderr]: [string[], string[]] = [[], []];
  child.stdout.on('data', (text) => stdout.push(String(text)));
  child.stderr.on('data', (text) => stderr.push(String(text)));
  return {
    killed: () => child.kill('SIGKILL'),
    ended: new Promise((resolve) => child.on('close', (code) => resolve({ code, stdout: stdout.join(''), stderr: stderr.join('') }))),
  };
}

test('two processes load the same model at the same time, with one download', () =>
  withHub(async (hub) => {
    hub.push(REPO, FILES);
    const expected = String((await outputOf(FILES))[0]);
    hub.misbehave(WEIGHTS, drip({ pieces: 60, pause: 50 }));
    const outcomes = await Promise.all([startLoader(), startLoader()].map(({ ended }) => ended));
    for (const { code, stdout, stderr } of outcomes) assert.equal([code, stdout], [0, expected], stderr);
    assert.is(hub.count(WEIGHTS), 1);
  }));

test('what a killed process has downloaded is not lost', () =>
  withHub(async (hub, { cache }) => {
    hub.push(REPO, FILES);
    hub.misbehave(WEIGHTS, drip({ pieces: 100, pause: 50 }));
    const first = startLoader();
    const blobs = join(cache, FOLDER, 'blobs');
    let path = '';
    const hasBegun = (): boolean => {
      const name = existsSync(blobs) && readdirSync(blobs).find((entry) => /^[0-9a-f]{64}.*incomplete$/.test(entry));
      if (name) path = join(blobs, name);
      return path !== '' && readFileSync(path).length > 0;
    };
    assert.ok(await comesTrue(hasBegun));
    first.killed();
    await first.ended;
    utimesSync(path, 1, 1); // as if it had been some time ago
    assert.is((await startLoader().ended).code, 0);
    assert.match(hub.asked.at(-1)?.range ?? '', /^bytes=[1-9]\d*-$/);
  }));

test.run();
