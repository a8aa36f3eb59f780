// One engine alone in its process: node bench/models/process.mjs ENGINE MODEL RUNS, where ENGINE is dinov2-wasm and MODEL a folder,
// or ENGINE is onnxruntime-web and MODEL an ONNX file. Prints JSON: milliseconds from the start of loading to the first result, and the peak of resident memory.
// Plain JavaScript on the built library: a TypeScript loader would count as memory of the engine.
import { existsSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { env } from 'node:process';

const [engine, model, runs] = process.argv.slice(2);
const size = Number(env.SIZE ?? 224);
const pixels = Float32Array.from({ length: 3 * size * size }, (_, i) => 2 * Math.sin(i * 0.37) * Math.cos(i * 0.011));

const start = performance.now();
const run = engine === 'dinov2-wasm' ? await ours(model) : await peer(model);
await run();
const first = performance.now() - start;
const memory = [];
for (let i = 1; i < Number(runs); i++) {
  await run();
  memory.push(process.memoryUsage().rss);
}
console.log(
  JSON.stringify({ engine, first, peakMiB: mebibytes(peak()), secondRunMiB: mebibytes(memory[0]), lastRunMiB: mebibytes(memory.at(-1)) }),
);

function mebibytes(bytes) {
  return Math.round(bytes / 2 ** 20);
}

/** Bytes. Linux counts what the parent had when it forked as the child's in getrusage, but not in /proc. */
function peak() {
  const status = '/proc/self/status';
  if (!existsSync(status)) return process.resourceUsage().maxRSS * 1024;
  return Number(/VmHWM:\s*(\d+)/.exec(readFileSync(status, 'utf8'))[1]) * 1024;
}

async function ours(folder) {
  const { AutoModel, Tensor } = await import('../../dist/index.js');
  const loaded = await AutoModel.from_pretrained(folder);
  const input = new Tensor('float32', pixels, [1, 3, size, size]);
  return () => loaded(input);
}

async function peer(file) {
  const { env: ort, InferenceSession, Tensor } = await import('onnxruntime-web');
  ort.wasm.numThreads = 1;
  let bytes = await readFile(file);
  const session = await InferenceSession.create(bytes, { executionProviders: ['wasm'], graphOptimizationLevel: 'all' });
  bytes = undefined;
  return () => session.run({ pixel_values: new Tensor('float32', pixels, [1, 3, size, size]) });
}
