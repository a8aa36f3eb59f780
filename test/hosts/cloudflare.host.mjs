// The Worker of examples/cloudflare in workerd: with the model inside the script, and with shards among the assets; its time and memory.
import { existsSync, readFileSync } from 'node:fs';
import { copyFile, cp, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { bundle, FOR_WORKERD, miniflareWorker } from './bundlers.mjs';
import { application, PHOTOS, ROOT, run, temporary } from './tools.mjs';

const PHOTO = readFileSync(join(PHOTOS, 'rocket.jpg'));

let bundled;

function worker(options) {
  bundled ??= application().then(async ({ folder }) => {
    await copyFile(join(ROOT, 'examples/cloudflare/worker.mjs'), join(folder, 'entries/cloudflare.mjs'));
    return bundle('esbuild', ['cloudflare'], FOR_WORKERD);
  });
  return bundled.then((folder) => miniflareWorker(folder, 'cloudflare', options));
}

/** What Node answers: labels and embedding by AutoModel. */
async function expected() {
  const { folder } = await application();
  const script = `
    import { AutoImageProcessor, AutoModel, AutoModelForImageClassification, EMBEDDED_MODEL } from 'dinov2-wasm';
    import { classify } from 'dinov2-wasm/tasks';
    const inputs = await (await AutoImageProcessor.from_pretrained(EMBEDDED_MODEL))(process.argv[1], { exifOrientation: true });
    const classifier = await AutoModelForImageClassification.from_pretrained(EMBEDDED_MODEL);
    const { pooler_output } = await (await AutoModel.from_pretrained(EMBEDDED_MODEL))(inputs);
    const [labels] = classify((await classifier(inputs)).logits, classifier.config, { topK: 3 });
    console.log(JSON.stringify({ labels, embedding: Array.from(pooler_output.data) }));`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', script, join(PHOTOS, 'rocket.jpg')], { cwd: folder });
  return JSON.parse(stdout);
}

function checkAnswer({ status, text }, right) {
  assert.is(status, 200, text);
  const { labels, embedding } = JSON.parse(text);
  assert.equal(
    labels.map(({ label }) => label),
    right.labels.map(({ label }) => label),
  );
  assert.is(embedding.length, right.embedding.length);
  const largest = Math.max(...right.embedding.map(Math.abs));
  const difference = Math.max(...embedding.map((x, i) => Math.abs(x - right.embedding[i])));
  assert.ok(difference < 1e-5 * largest, `${difference} of ${largest}`);
}

test('labels and embedding come back, from the model inside the script', async () => {
  const right = await expected();
  const running = await worker();
  try {
    const times = [];
    for (let i = 0; i < 6; i++) {
      const start = performance.now();
      checkAnswer(await running.post('/', PHOTO), right);
      times.push(performance.now() - start);
    }
    const [first, ...later] = times.map((time) => time.toFixed(0));
    console.log(`workerd: first answer ${first} ms after the isolate is there, then ${later.join(', ')} ms; ${memoryOfWorkerd()}`);
  } finally {
    await running.close();
  }
});

test('a model in shards among the assets answers the same', async () => {
  const { folder, package: library } = await application();
  const assets = await temporary();
  const model = join(assets, 'model');
  await mkdir(model);
  const script = `
    import { AutoModelForImageClassification, EMBEDDED_MODEL } from 'dinov2-wasm';
    const model = await AutoModelForImageClassification.from_pretrained(EMBEDDED_MODEL);
    await model.save_pretrained(process.argv[1], { max_shard_size: '2MB', dtype: 'float16' });`;
  await run(process.execPath, ['--input-type=module', '--eval', script, model], { cwd: folder });
  await cp(join(library, 'weights/preprocessor_config.json'), join(model, 'preprocessor_config.json'));
  assert.ok((await readdir(model)).filter((name) => /^model-\d+-of-\d+\.safetensors$/.test(name)).length > 3);
  const running = await worker({
    bindings: { MODEL: 'model' },
    assets: { directory: assets, binding: 'ASSETS', routerConfig: { has_user_worker: true } },
  });
  try {
    checkAnswer(await running.post('/', PHOTO), await expected());
  } finally {
    await running.close();
  }
});

test('what is no picture is refused by name, and the next request answered', async () => {
  const running = await worker();
  try {
    const { status, text } = await running.post('/', 'no picture');
    assert.is(status, 415);
    assert.match(JSON.parse(text).error, 'expected a PNG or JPEG file');
    assert.is((await running.post('/', PHOTO)).status, 200);
  } finally {
    await running.close();
  }
});

/** The resident memory of the process, where Linux tells it: of the runtime with the isolate. */
function memoryOfWorkerd() {
  if (!existsSync(`/proc/${process.pid}/task/${process.pid}/children`)) return 'memory unknown';
  const children = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8').trim().split(' ');
  const sizes = children.flatMap((pid) => {
    try {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      return /^Name:\s+workerd/m.test(status) ? [Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1]) / 1024] : [];
    } catch {
      return [];
    }
  });
  return sizes.length ? `peak of the process ${Math.max(...sizes).toFixed(0)} MiB (with the runtime)` : 'memory unknown';
}

test.run();
