// The Worker of examples/cloudflare in workerd: with the model inside the script, and a ViT-S in shards among the assets and in R2; its time and
// memory.
import { existsSync, readFileSync, statSync } from 'node:fs';
import { copyFile, cp, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { bundle, FOR_WORKERD, miniflareWorker } from './bundlers.mjs';
import { application, on, PHOTOS, PROGRAMS, ROOT, run, temporary } from './tools.mjs';

const MIB = 2 ** 20;
/** Of an isolate. */
const LIMIT = 128 * MIB;
const PHOTO = readFileSync(join(PHOTOS, 'rocket.jpg'));

let bundled;

function worker(options) {
  bundled ??= application().then(async ({ folder }) => {
    await copyFile(join(ROOT, 'examples/cloudflare/worker.mjs'), join(folder, 'entries/cloudflare.mjs'));
    return bundle('esbuild', ['cloudflare'], FOR_WORKERD);
  });
  return bundled.then((folder) => miniflareWorker(folder, 'cloudflare', options));
}

/**
 * What Node answers, with the relaxed SIMD that workerd has too: labels and embedding by AutoModel. Of the models in a folder, or the one that comes with
 * the package.
 */
async function expected(model) {
  const { folder } = await application();
  const script = `
    import { AutoImageProcessor, AutoModel, AutoModelForImageClassification, EMBEDDED_MODEL } from 'dinov2-wasm';
    import { classify } from 'dinov2-wasm/tasks';
    const [photo, source = EMBEDDED_MODEL] = process.argv.slice(1);
    const inputs = await (await AutoImageProcessor.from_pretrained(source))(photo, { exifOrientation: true });
    const classifier = await AutoModelForImageClassification.from_pretrained(source, { dtype: 'int8' });
    const { pooler_output } = await (await AutoModel.from_pretrained(source, { dtype: 'int8' }))(inputs);
    const [labels] = classify((await classifier(inputs)).logits, classifier.config, { topK: 3 });
    console.log(JSON.stringify({ labels, embedding: Array.from(pooler_output.data) }));`;
  const args = ['--input-type=module', '--eval', script, join(PHOTOS, 'rocket.jpg'), ...(model ? [model] : [])];
  const { stdout } = await run(PROGRAMS['node 24'], args, { cwd: folder });
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

const STARTS = 3;

on('node 24')('labels and embedding come back, from the model inside the script', async () => {
  const right = await expected();
  const times = { nothing: [], first: [], later: [] };
  const timed = async (name, request) => {
    const start = performance.now();
    const answer = await request();
    times[name].push(performance.now() - start);
    return answer;
  };
  let memory;
  for (let i = 0; i < STARTS; i++) {
    const idle = await worker(); // the same script, asked for nothing
    assert.is((await timed('nothing', () => idle.get('/'))).status, 405);
    const without = memoryOfWorkerd();
    await idle.close();
    const running = await worker();
    try {
      for (const name of ['first', 'later', 'later']) checkAnswer(await timed(name, () => running.post('/', PHOTO)), right);
      memory = memoryOfWorkerd() - without;
    } finally {
      await running.close();
    }
  }
  const median = (name) => times[name].toSorted((a, b) => a - b)[times[name].length >> 1].toFixed(0);
  console.log(
    `workerd, model in the script: first answer ${median('first')} ms after the isolate is there, then ${median('later')} ms; the same script doing nothing ${median('nothing')} ms; ${mib(memory)} more`,
  );
  if (memory) assert.ok(memory < LIMIT, mib(memory));
});

/** A ViT-S/14 with random weights, in int8, as it would be uploaded. */
let small;
async function smallModel() {
  const { folder, package: library } = await application();
  const assets = await temporary();
  const model = join(assets, 'model');
  await mkdir(model);
  const script = `
    import { Dinov2ForImageClassification } from 'dinov2-wasm';
    const config = { hidden_size: 384, num_attention_heads: 6, patch_size: 14, image_size: 518, num_labels: 1000, layerscale_value: 0.1 };
    const model = new Dinov2ForImageClassification(config, { dtype: 'int8', seed: 1 });
    await model.save_pretrained(process.argv[1], { max_shard_size: '10MiB' });`;
  await run(process.execPath, ['--input-type=module', '--eval', script, model], { cwd: folder });
  await cp(join(library, 'weights/preprocessor_config.json'), join(model, 'preprocessor_config.json'));
  const sizes = (await readdir(model)).filter((name) => /-of-/.test(name)).map((name) => statSync(join(model, name)).size);
  assert.ok(sizes.length > 2 && sizes.every((size) => size <= 24 * MIB), String(sizes));
  return { assets, model, right: await expected(model) };
}

for (const place of ['assets', 'R2']) {
  on('node 24')(`a ViT-S in shards in ${place} answers as in Node, in less memory than a Worker has`, async () => {
    small ??= smallModel();
    const { assets, model, right } = await small;
    const options = {
      assets: { assets: { directory: assets, binding: 'ASSETS', routerConfig: { has_user_worker: true } } },
      R2: { r2Buckets: ['BUCKET'], r2Persist: await temporary() },
    }[place];
    if (place === 'R2') {
      const upload = await worker(options); // in a process of its own, so that it does not count below
      const bucket = await upload.r2('BUCKET');
      for (const name of await readdir(model)) await bucket.put(`model/${name}`, readFileSync(join(model, name)));
      await upload.close();
    }
    const running = await worker({ bindings: { MODEL: 'model' }, ...options });
    try {
      await running.get('/'); // the isolate is there
      const without = memoryOfWorkerd();
      const times = [];
      for (let i = 0; i < 3; i++) {
        const start = performance.now();
        checkAnswer(await running.post('/', PHOTO), right);
        times.push(performance.now() - start);
      }
      const memory = memoryOfWorkerd() - without;
      const [first, ...later] = times.map((time) => time.toFixed(0));
      console.log(`workerd, int8 ViT-S from ${place}: first answer ${first} ms, then ${later} ms; ${mib(memory)} more`);
      if (memory) assert.ok(memory < LIMIT, mib(memory));
    } finally {
      await running.close();
    }
  });
}

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

/** Peak of the resident memory of the process, in bytes, where Linux tells it: of the runtime with the isolate. */
function memoryOfWorkerd() {
  const children = `/proc/${process.pid}/task/${process.pid}/children`;
  if (!existsSync(children)) return Number.NaN;
  for (const pid of readFileSync(children, 'utf8').trim().split(' ')) {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    if (/^Name:\s+workerd/m.test(status)) return Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1]) * 1024;
  }
  return Number.NaN;
}

function mib(bytes) {
  return bytes ? `${(bytes / MIB).toFixed(0)} MiB` : 'unknown memory';
}

test.run();
