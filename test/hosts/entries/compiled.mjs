// For `bun build --compile`: as script.mjs, with the model inside the executable.
import * as library from 'dinov2-wasm';
import config from 'dinov2-wasm/weights/config.json' with { type: 'file' };
import weights from 'dinov2-wasm/weights/model.safetensors' with { type: 'file' };
import processor from 'dinov2-wasm/weights/preprocessor_config.json' with { type: 'file' };
import { compute } from '../program.mjs';

const model = {
  'config.json': Bun.file(config),
  'preprocessor_config.json': Bun.file(processor),
  'model.safetensors': Bun.file(weights),
};
const results = [];
for (const [photo, build, threads] of JSON.parse(process.argv[2]))
  results.push({ photo, ...(await compute(library, model, photo, { build, threads })) });
console.log(JSON.stringify(results));
