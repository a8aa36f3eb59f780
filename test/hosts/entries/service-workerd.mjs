// The same for workerd: the service answers what comes.
import 'dinov2-wasm';
import { Service } from 'dinov2-wasm/serve';
import { ImageTasks } from 'dinov2-wasm/tasks';
import config from 'dinov2-wasm/weights/config.json';
import weights from 'dinov2-wasm/weights/model.safetensors';
import processor from 'dinov2-wasm/weights/preprocessor_config.json';

const json = (value) => new TextEncoder().encode(JSON.stringify(value));
const model = { 'config.json': json(config), 'preprocessor_config.json': json(processor), 'model.safetensors': weights };

let service;

const worker = {
  async fetch(request) {
    service ??= ImageTasks.open(model, { build: 'simd' }).then((tasks) => new Service(tasks));
    return (await service).fetch(request);
  },
};

// biome-ignore lint/style/noDefaultExport: workerd wants it
export default worker;
