// A Cloudflare Worker: POST a PNG or JPEG; its nearest labels and its embedding come back. The model that comes with the package is inside
// the script; where MODEL names a folder of the static assets, or of the R2 bucket BUCKET, it is that one, whose shards are streamed into the
// engine and never held.
import { AutoImageProcessor, AutoModelForImageClassification, RawImage } from 'dinov2-wasm';
import { classify, embed } from 'dinov2-wasm/tasks';
import { layerNorm } from 'dinov2-wasm/tensor';
import config from 'dinov2-wasm/weights/config.json';
import weights from 'dinov2-wasm/weights/model.safetensors';
import preprocessor from 'dinov2-wasm/weights/preprocessor_config.json';

const MAX_BYTES = 10 * 2 ** 20; // of a picture's file
const MAX_PIXELS = 12_000_000; // decoded, they are kept three times: an isolate has 128 MB

const json = (value) => new TextEncoder().encode(JSON.stringify(value));
const EMBEDDED = { 'config.json': json(config), 'preprocessor_config.json': json(preprocessor), 'model.safetensors': weights };

let loading; // once an isolate, at the first request

const worker = {
  async fetch(request, env) {
    if (request.method !== 'POST') return problem(405, 'expected POST with a PNG or JPEG file');
    if (Number(request.headers.get('content-length')) > MAX_BYTES) return problem(413, `expected at most ${MAX_BYTES} bytes`);
    try {
      loading ??= load(env);
      const { model, processor, norm } = await loading;
      const image = await RawImage.read(await request.arrayBuffer(), { limits: { pixels: MAX_PIXELS }, exifOrientation: true });
      const { logits, hidden_states } = await model(await processor(image), { output_hidden_states: true, signal: request.signal });
      const [labels] = classify(logits, model.config, { topK: 3 });
      const embedding = norm(embed(hidden_states.at(-1))); // (1, hidden): the pooler_output of AutoModel
      return Response.json({ labels, embedding: Array.from(embedding.data) });
    } catch (error) {
      if (error.name === 'ImageError') return problem(415, error.message);
      loading = undefined; // the next request tries again
      return problem(500, error.message);
    }
  },
};

function problem(status, message) {
  return Response.json({ error: message }, { status });
}

async function load({ MODEL, ASSETS, BUCKET }) {
  const source = MODEL ? await stored(MODEL, BUCKET ? inBucket(BUCKET) : inAssets(ASSETS)) : EMBEDDED;
  const processor = await AutoImageProcessor.from_pretrained(source);
  const model = await AutoModelForImageClassification.from_pretrained(source, { dtype: 'int8' }); // a quarter of the memory, half the time
  const final = {}; // the last norm, which a classifier keeps to itself
  const isFinal = (name) => /(^|\.)layernorm\.(weight|bias)$/.test(name);
  for (const [name, weight] of model.weights(isFinal)) final[name.split('.').at(-1)] = weight;
  return { processor, model, norm: (x) => layerNorm(x, final.weight, final.bias, model.config.layer_norm_eps) };
}

/** The files of a model in a folder, each asked for when it is read. `get` gives the response with a file. */
async function stored(folder, get) {
  const file = (name) => () => get(`${folder}/${name}`);
  const names = ['config.json', 'preprocessor_config.json'];
  const index = await file('model.safetensors.index.json')();
  if (index.ok) names.push('model.safetensors.index.json', ...new Set(Object.values((await index.json()).weight_map)));
  else names.push('model.safetensors');
  return Object.fromEntries(names.map((name) => [name, file(name)]));
}

const inAssets = (assets) => async (path) => {
  const { status, headers, body } = await assets.fetch(new URL(path, 'https://assets.local/'));
  return new Response(body, { status, headers });
};

const inBucket = (bucket) => async (path) => {
  const object = await bucket.get(path);
  return object ? new Response(object.body, { headers: { 'content-length': object.size } }) : new Response(null, { status: 404 });
};

// biome-ignore lint/style/noDefaultExport: workerd wants it
export default worker;
