// What `npm start` runs: labels, embedding, time and a picture of the patch features for each photograph, with the model that comes with the package.
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AutoImageProcessor, AutoModel, AutoModelForImageClassification, EMBEDDED_MODEL, RawImage } from 'dinov2-wasm';
import { encodePng, pcaPicture, sideBySide } from 'dinov2-wasm/plot';
import { classify, embed, fitPatchPca, patchFeatures, wholePhoto } from 'dinov2-wasm/tasks';

const PHOTOS = fileURLToPath(new URL('photos', import.meta.url));
const OUTPUT = 'dinov2-output';
const RUNS = 5; // timed, of each photograph
const PICTURE_EDGE = 448; // pixels of the shorter edge for the pictures: 32 patches

const [model, loadTime] = await timed(() => AutoModel.from_pretrained(EMBEDDED_MODEL));
const classifier = await AutoModelForImageClassification.from_pretrained(EMBEDDED_MODEL);
const processor = await AutoImageProcessor.from_pretrained(EMBEDDED_MODEL);

const { num_hidden_layers: layers, hidden_size: width, num_labels: labels } = classifier.config;
console.log(`
DINOv2 on WebAssembly, Node ${process.versions.node}

The model that comes with the package is a demonstration: ${layers} layers of width ${width}, ${labels} labels. It shows
that all works; its labels are often wrong. For real work take a released checkpoint: weights/README.md.
`);

await mkdir(OUTPUT, { recursive: true });
const times = [];
for (const name of (await readdir(PHOTOS)).filter((file) => /\.(png|jpe?g)$/.test(file))) {
  const image = await RawImage.read(join(PHOTOS, name));
  const inputs = await processor(image);

  let outputs;
  const photoTimes = [];
  for (let run = 0; run < RUNS; run++) {
    const [result, time] = await timed(() => model(inputs));
    outputs = result;
    photoTimes.push(time);
  }
  times.push(...photoTimes);

  const { logits } = await classifier(inputs);
  const [scores] = classify(logits, classifier.config, { topK: 3 });
  const embedding = embed(outputs.last_hidden_state);

  const picture = join(OUTPUT, `${name.replace(/\.\w+$/, '')}.png`);
  await writeFile(picture, await encodePng(sideBySide([image, await drawFeatures(image)])));

  console.log(name);
  for (const [i, { label, score }] of scores.entries()) print(i === 0 ? 'labels' : '', `${percent(score)}  ${bar(score)}  ${label}`);
  print('embedding', `[${embedding.dims.join(', ')}]  ${Array.from(embedding.data.subarray(0, 5), (x) => x.toFixed(3)).join('  ')}  ...`);
  print('time', `${median(photoTimes).toFixed(0)} ms`);
  print('features', picture);
  console.log();
}

const [first, ...later] = times;
console.log(
  `Loading took ${loadTime.toFixed(0)} ms, the first run ${first.toFixed(0)} ms, each later one ${median(later).toFixed(0)} ms (median of ${later.length}).`,
);
console.log(
  `Each picture in ${OUTPUT}/ shows a photograph and the principal components of its patch features: like colours, like features.`,
);

/** The principal components of the patch features of the whole photograph, in its size. */
async function drawFeatures(image) {
  const { pixel_values, frame } = await wholePhoto(image, { processor, config: model.config, shortestEdge: PICTURE_EDGE });
  const { last_hidden_state } = await model({ pixel_values });
  const features = patchFeatures(last_hidden_state, [frame.rows, frame.columns]).at(0); // (rows, columns, hidden)
  return pcaPicture(fitPatchPca([features]).colorsOf(features), image);
}

async function timed(body) {
  const start = performance.now();
  return [await body(), performance.now() - start];
}

function median(values) {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}

function print(name, text) {
  console.log(`  ${name.padEnd(10)}  ${text}`);
}

function percent(score) {
  return `${(score * 100).toFixed(1).padStart(5)} %`;
}

function bar(score) {
  return '█'.repeat(Math.round(score * 20)).padEnd(20, '░');
}
