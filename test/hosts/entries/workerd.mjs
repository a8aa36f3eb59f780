// For workerd: photographs are posted, the model is inside the script.
import { compute } from '../program.mjs';
import config from '../weights/config.json.bin';
import weights from '../weights/model.safetensors.bin';
import processor from '../weights/preprocessor_config.json.bin';

const model = { 'config.json': config, 'preprocessor_config.json': processor, 'model.safetensors': weights };

export default {
  async fetch(request) {
    const build = new URL(request.url).searchParams.get('build');
    try {
      return Response.json(await compute(model, await request.arrayBuffer(), { build }));
    } catch (error) {
      return new Response(error.stack, { status: 500 });
    }
  },
};
