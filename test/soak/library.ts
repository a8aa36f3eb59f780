// What run.ts starts beside the service: uses all of the library in turn until it is told to stop, and tells how it goes.
import { readFileSync } from 'node:fs';
import { AutoImageProcessor, AutoModel, Dinov2Error, EMBEDDED_MODEL, pipeline } from '../../src/index.ts';
import { ImageTasks, VectorIndex } from '../../src/tasks/index.ts';
import { Tensor } from '../../src/tensor/index.ts';
import { dice, mutate, pick } from '../fuzz/mutate.ts';
import { PHOTOS_FOLDER } from './clients.ts';

export interface LibraryReport {
  readonly done: Readonly<Record<string, number>>;
  readonly problems: readonly string[];
  /** In milliseconds, of embeddings since the last report. */
  readonly times: readonly number[];
  readonly values: Readonly<Record<string, number>>;
}

const PHOTOS = ['astronaut.png', 'chelsea.png', 'rocket.jpg'].map((name) => new Uint8Array(readFileSync(PHOTOS_FOLDER + name)));
/** Between reports, in milliseconds. */
const INTERVAL = 2000;

const roll = dice(Number(process.argv[2]));
const tasks = await ImageTasks.open(EMBEDDED_MODEL, { threads: 1 });
const expected = await Promise.all(PHOTOS.map(async (photo) => JSON.stringify(await tasks.run('embed', photo))));
const done: Record<string, number> = {};
let [problems, times]: [string[], number[]] = [[], []];

/** What a program that runs for long does. */
const WORKS: Readonly<Record<string, () => Promise<void>>> = {
  async embed() {
    const n = roll(PHOTOS.length);
    const start = performance.now();
    const found = JSON.stringify(await tasks.run('embed', PHOTOS[n] as Uint8Array));
    times.push(performance.now() - start);
    if (found !== expected[n]) throw new Error(`another embedding of photograph ${n}`);
  },
  async 'embed at another size'() {
    const processor = await AutoImageProcessor.from_pretrained(EMBEDDED_MODEL);
    await processor(pick(roll, PHOTOS), { size: 60 + roll(300), crop_size: { height: 14 * (1 + roll(20)), width: 14 * (1 + roll(20)) } });
  },
  async 'embed and give up'() {
    const leaving = new AbortController();
    setTimeout(() => leaving.abort(new Dinov2Error('gone')), roll(60));
    await tasks.run('classify', pick(roll, PHOTOS), {}, { signal: leaving.signal });
  },
  async 'damaged picture'() {
    await tasks.run('embed', mutate(pick(roll, PHOTOS), roll));
  },
  async 'load and dispose'() {
    const dtype = pick(roll, ['float32', 'float16', 'int8'] as const);
    using model = await AutoModel.from_pretrained(EMBEDDED_MODEL, { dtype, threads: 1 + roll(2) });
    const shape = { batch: 1 + roll(2), height: 14 * (4 + roll(8)), width: 14 * (4 + roll(8)) };
    const { batch, height, width } = shape;
    const pixels = new Tensor('float32', new Float32Array(batch * 3 * height * width).fill(0.5), [batch, 3, height, width]);
    if (model.threads === 1) {
      const traced = await model.trace(shape);
      await traced(pixels);
      traced.dispose();
    }
    await model(pixels, { output_hidden_states: true, output_attentions: roll(2) === 0 });
  },
  async pipeline() {
    const classify = await pipeline('image-classification', EMBEDDED_MODEL, { threads: 1 });
    await classify(pick(roll, PHOTOS), { top_k: 3 });
    await classify.dispose();
  },
  async index() {
    const index = new VectorIndex(64);
    const rows = 2000;
    index.add(
      new Tensor(
        'float32',
        Float32Array.from({ length: rows * 64 }, () => roll(1000) - 500),
        [rows, 64],
      ),
    );
    index.search(
      new Tensor(
        'float32',
        Float32Array.from({ length: 64 }, () => roll(1000) - 500),
        [1, 64],
      ),
      { k: 5 },
    );
    index.dispose();
  },
};
const OFTEN = [...Array.from({ length: 12 }, () => 'embed'), ...Object.keys(WORKS)];

let isOver = false;
process.on('message', () => {
  isOver = true;
});
for (let next = 0; !isOver; ) {
  const name = pick(roll, OFTEN);
  try {
    await (WORKS[name] as () => Promise<void>)();
  } catch (error) {
    if (!(error instanceof Dinov2Error)) problems.push(`${name}: ${(error as Error).stack}`);
  }
  done[name] = (done[name] ?? 0) + 1;
  await new Promise((resolve) => setImmediate(resolve));
  if (performance.now() >= next) {
    report();
    next = performance.now() + INTERVAL;
  }
}
tasks.dispose();
await new Promise((resolve) => setTimeout(resolve, 1000)); // threads end
report();
process.disconnect?.();

function report(): void {
  globalThis.gc?.();
  const { rss, heapUsed, external } = process.memoryUsage();
  const values = { rss, heap: heapUsed, external, wasm: tasks.memory, resources: process.getActiveResourcesInfo().length };
  process.send?.({ done, problems, times, values } satisfies LibraryReport);
  [problems, times] = [[], []];
}
