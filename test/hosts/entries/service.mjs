// A service on the demonstration, asked without a socket: its answers to a photograph, as JSON.
import { readFile } from 'node:fs/promises';
import process from 'node:process';
import { EMBEDDED_MODEL } from 'dinov2-wasm';
import { Service } from 'dinov2-wasm/serve';
import { ImageTasks } from 'dinov2-wasm/tasks';
import { askService } from '../program.mjs';

const tasks = await ImageTasks.open(EMBEDDED_MODEL, { build: 'simd', threads: 1 });
const service = new Service(tasks);
console.log(JSON.stringify(await askService((url, init) => service.fetch(new Request(url, init)), await readFile(process.argv.at(-1)))));
await service.close();
tasks.dispose();
