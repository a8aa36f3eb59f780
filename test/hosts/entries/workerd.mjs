// For workerd: photographs are posted, the model is inside the script.
import { AutoImageProcessor, AutoModelForImageClassification } from 'dinov2-wasm';
import config from 'dinov2-wasm/weights/config.json';
import weights from 'dinov2-wasm/weights/model.safetensors';
import processor from 'dinov2-wasm/weights/preprocessor_config.json';
import { compute } from '../program.mjs';

const json = (value) => new TextEncoder().encode(JSON.stringify(value));
const model = { 'config.json': json(config), 'preprocessor_config.json': json(processor), 'model.safetensors': weights };

const worker = {
  async fetch(request) {
    const { build, threads = 1 } = Object.fromEntries(new URL(request.url).searchParams);
    try {
      return Response.json(
        await compute({ AutoImageProcessor, AutoModelForImageClassification }, model, await request.arrayBuffer(), {
          build,
          threads: Number(threads),
        }),
      );
    } catch (error) {
      return new Response(error.stack, { status: 500 });
    }
  },
};

// biome-ignore lint/style/noDefaultExport: workerd wants it
export default worker;
