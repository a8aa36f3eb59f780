// What the page asks for: a model is loaded, a photo looked at, two compared. In a worker, so that the page never stalls.
import { AutoImageProcessor, AutoModel, AutoModelForImageClassification, RawImage } from 'dinov2-wasm';
import { classify, fitPatchPca, patchAlignedSize, patchFeatures, patchGrid } from 'dinov2-wasm/tasks';
import { matmul, Tensor, transpose } from 'dinov2-wasm/tensor';

const file = (name) => async () => fetch(new URL(`../model/${name}`, import.meta.url));
const NAMES = ['config.json', 'preprocessor_config.json', 'model.safetensors'];
const DEMONSTRATION = Object.fromEntries(NAMES.map((name) => [name, file(name)]));
const MAX_BYTES = 50 * 2 ** 20;
const MAX_PIXELS = 50_000_000;
/** Attention has the square of this many numbers, in each head and layer. */
const MAX_PATCHES = 600;
const MOST_MATCHES = 30;

let loaded;
let seen = []; // the patches of each photo

const calls = {
  async load({ source }) {
    const options = { threads: 'auto', progress_callback: report };
    const from = sourceOf(source);
    const processor = await AutoImageProcessor.from_pretrained(from);
    const model = await AutoModel.from_pretrained(from, options);
    const classifier = await AutoModelForImageClassification.from_pretrained(from, options).catch((error) => {
      if (error.name === 'CheckpointError') return undefined; // the model is whole, as was seen above: it has no labels
      model.dispose();
      throw error;
    });
    loaded?.model.dispose();
    loaded?.classifier?.dispose();
    loaded = { processor, model, classifier };
    seen = [];
    return { threads: model.threads, build: model.build, layers: model.config.num_hidden_layers, width: model.config.hidden_size };
  },

  async look({ file, slot }) {
    const { processor, model, classifier } = loaded;
    const image = await read(file);
    const labels = classifier && classify((await classifier(await processor(image))).logits, classifier.config, { topK: 5 })[0];
    const [patch] = model.config.patchSize;
    const { width, height } = image;
    const aspect = Math.max(width, height) / Math.min(width, height);
    const shortestEdge = Math.max(patch, Math.floor(Math.sqrt(MAX_PATCHES / aspect)) * patch);
    const size = patchAlignedSize(image, { shortestEdge, config: model.config });
    const { pixel_values } = await processor(image, { size, do_center_crop: false });
    const { last_hidden_state, attentions } = await model(pixel_values, { output_attentions: true });
    const [rows, columns] = patchGrid(model.config, pixel_values);
    const features = patchFeatures(last_hidden_state, [rows, columns]); // (1, rows, columns, hidden)
    seen[slot] = { rows, columns, unit: unitRows(features.reshape(rows * columns, features.dims.at(-1))) };
    const { colors } = fitPatchPca([features.at(0)], { foreground: 'all' }).colorsOf(features.at(0));
    return { labels, width, height, rows, columns, colors: colors.data, heads: headsOf(attentions.at(-1), rows * columns) };
  },

  /** Patches that are each other's nearest, the most alike first; places are fractions of width and height. */
  async match() {
    const [a, b] = seen;
    const { data } = matmul(a.unit, transpose(b.unit)); // (patches of a, patches of b): cosines
    const [countA, countB] = [a.rows * a.columns, b.rows * b.columns];
    const ofA = new Int32Array(countA);
    const ofB = new Int32Array(countB);
    for (let i = 0; i < countA; i++) {
      for (let j = 0; j < countB; j++) {
        const similarity = data[i * countB + j];
        if (similarity > data[i * countB + ofA[i]]) ofA[i] = j;
        if (similarity > data[ofB[j] * countB + j]) ofB[j] = i;
      }
    }
    const place = (index, { rows, columns }) => [((index % columns) + 0.5) / columns, (Math.floor(index / columns) + 0.5) / rows];
    return [...ofA.entries()]
      .filter(([i, j]) => ofB[j] === i)
      .map(([i, j]) => ({ a: place(i, a), b: place(j, b), similarity: data[i * countB + j] }))
      .sort((x, y) => y.similarity - x.similarity)
      .slice(0, MOST_MATCHES);
  },
};

/** Each row divided by its length. */
function unitRows({ data, dims }) {
  const width = dims[1];
  const unit = Float32Array.from(data);
  for (let at = 0; at < unit.length; at += width) {
    const row = unit.subarray(at, at + width);
    const length = Math.hypot(...row) || 1;
    for (let i = 0; i < width; i++) row[i] /= length;
  }
  return new Tensor('float32', unit, dims);
}

/** Attention (1, heads, tokens, tokens) of the class token to each patch, by head. */
function headsOf(attention, patches) {
  const [, heads, tokens] = attention.dims;
  return Array.from({ length: heads }, (_, head) =>
    attention
      .at(0)
      .at(head)
      .at(0)
      .data.slice(tokens - patches),
  );
}

function sourceOf(source) {
  if (source === undefined) return DEMONSTRATION;
  if (typeof source !== 'string') return Object.fromEntries(source.map((file) => [file.name, file]));
  return /^(https?:|[./])/.test(source) ? new URL(source.replace(/\/?$/, '/'), new URL('../', import.meta.url)) : source;
}

/** PNG and JPEG by the library, as everywhere; what else the browser knows by the browser. */
async function read(file) {
  if (file.size > MAX_BYTES) throw new Error(`The photo has ${(file.size / 1e6).toFixed(0)} MB: choose one of at most 50 MB.`);
  try {
    return await RawImage.read(file, { limits: { pixels: MAX_PIXELS }, exifOrientation: true });
  } catch (error) {
    const bitmap = error.name === 'LimitError' ? undefined : await createImageBitmap(file).catch(() => undefined);
    if (!bitmap) throw error;
    if (bitmap.width * bitmap.height > MAX_PIXELS) throw error;
    const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
    context.drawImage(bitmap, 0, 0);
    return RawImage.read(context.getImageData(0, 0, bitmap.width, bitmap.height));
  }
}

function report({ status, file, loaded: done, total }) {
  if (status === 'progress') postMessage({ progress: { file, done, total } });
}

let last = Promise.resolve(); // one call at a time
addEventListener('message', ({ data: { id, call, request } }) => {
  last = last.then(async () => {
    try {
      postMessage({ id, result: await calls[call](request) });
    } catch (error) {
      postMessage({ id, error: { name: error.name, message: error.message } });
    }
  });
});
