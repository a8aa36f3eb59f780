// What the page asks for: a model is loaded, a photo looked at, two compared. In a worker, so that the page never stalls.
import { AutoImageProcessor, AutoModel, AutoModelForImageClassification, RawImage } from 'dinov2-wasm';
import { attentionMaps, classify, fitPatchPca, matchPatches, patchFeatures, wholePhoto } from 'dinov2-wasm/tasks';

const file = (name) => async () => fetch(new URL(`../model/${name}`, import.meta.url));
const NAMES = ['config.json', 'preprocessor_config.json', 'model.safetensors'];
const DEMONSTRATION = Object.fromEntries(NAMES.map((name) => [name, file(name)]));
const MAX_BYTES = 50 * 2 ** 20;
const MAX_PIXELS = 50_000_000;
/** Attention has the square of this many numbers, in each head and layer. */
const MAX_PATCHES = 600;
const MOST_MATCHES = 30;

let loaded;
let seen = []; // each photo: its size, its patches and where they lie

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
    const { config } = model;
    const [patch] = config.patchSize;
    const { width, height } = image;
    const aspect = Math.max(width, height) / Math.min(width, height);
    const shortestEdge = Math.max(patch, Math.floor(Math.sqrt(MAX_PATCHES / aspect)) * patch);
    const { pixel_values, frame } = await wholePhoto(image, { processor, config, shortestEdge });
    const grid = [frame.rows, frame.columns];
    let attention; // (heads, rows, columns), of the last layer: those of all would be too much to keep
    const attention_callback = (probabilities, { layer }) => {
      if (layer === config.num_hidden_layers - 1) attention = attentionMaps(probabilities, grid);
    };
    const { last_hidden_state } = await model(pixel_values, { attention_callback });
    const features = patchFeatures(last_hidden_state, grid).at(0); // (rows, columns, hidden)
    seen[slot] = { width, height, features, frame };
    const { colors } = fitPatchPca([features], { foreground: 'all' }).colorsOf(features);
    const heads = Array.from({ length: attention.dims[0] }, (_, head) => attention.at(head).data);
    return { labels, width, height, rows: frame.rows, columns: frame.columns, colors: colors.data, heads };
  },

  /** Patches that are each other's nearest, the most alike first; places are fractions of width and height. */
  async match() {
    const [a, b] = seen;
    const place = ({ x, y }, { width, height }) => [x / width, y / height];
    return matchPatches(a, b)
      .slice(0, MOST_MATCHES)
      .map((match) => ({ a: place(match.a, a), b: place(match.b, b), similarity: match.similarity }));
  },
};

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
