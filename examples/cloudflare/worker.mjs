// A Cloudflare Worker: POST a PNG or JPEG; its nearest labels and its embedding come back. The model that comes with the package is inside
// the script; where MODEL names a folder of the static assets, it is that one, whose shards are streamed into the engine and never held.
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

async function load({ MODEL, ASSETS }) {
  const source = MODEL ? await assets(ASSETS, MODEL) : EMBEDDED;
  const processor = await AutoImageProcessor.from_pretrained(source);
  const model = await AutoModelForImageClassification.from_pretrained(source);
  const final = {}; // the last norm, which a classifier keeps to itself
  for (const [name, weight] of model.weights()) if (/(^|\.)layernorm\.(weight|bias)$/.test(name)) final[name.split('.').at(-1)] = weight;
  return { processor, model, norm: (x) => layerNorm(x, final.weight, final.bias, model.config.layer_norm_eps) };
}

/** The files of a model among the static assets, each asked for when it is read. */
async function assets(binding, folder) {
  const file = (name) => async () => {
    const { status, headers, body } = await binding.fetch(new URL(`${folder}/${name}`, 'https://assets.local/'));
    return new Response(body, { status, headers });
  };
  const small = ['config.json', 'preprocessor_config.json'];
  const index = await (await file('model.safetensors.index.json')()).json();
  const names = [...small, 'model.safetensors.index.json', ...new Set(Object.values(index.weight_map))];
  return Object.fromEntries(names.map((name) => [name, file(name)]));
}

// biome-ignore lint/style/noDefaultExport: workerd wants it
export default worker;
