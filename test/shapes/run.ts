// npm run test:shapes [-- --model S --model g --size 224 --registers no]: whole models of the published shapes with weights from a seed. Each block, for
// some tokens, against float64; and the other ways to the same result against the first, to the bit. In order: minutes for S, hours for all.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { hasPeers } from '../../bench/engines/install.ts';
import { onnxruntimeWeb } from '../../bench/engines/onnxruntime-web.ts';
import { pattern } from '../../bench/engines/pattern.ts';
import { agreement } from '../../bench/models/speed.ts';
import { AutoModel, type Dinov2Model, type FromPretrainedOptions, Tensor } from '../../src/index.ts';
import type { Dinov2Config } from '../../src/models/config.ts';
import { cosine } from '../reference/compare.ts';
import { stageErrors } from './reference.ts';
import { configOf, roundedWeight, SHAPE_NAMES, type ShapeName, tensorsOf, writeModel } from './weights.ts';

const SEED = 7;
/** Of a row, relative to its largest number. Sums of 4096 products in float32 err by 2^-24 sqrt(4096) = 4e-6 when their errors are independent. */
const TOLERANCE = 4e-6;
/** Of the class tokens, from those in float32. The weights, which are bfloat16, are exact in float16 but for the smallest. */
const LEAST_COSINE = { float16: 0.99999, int8: 0.999 } as const;
/** Of all tokens, from onnxruntime-web, relative to the largest number: both err by float32. */
const PEER_TOLERANCE = 2e-5;
/** A model whose weights take more than this is larger than a WebAssembly memory. */
const MEMORY = 4 * 2 ** 30;

const { values } = parseArgs({
  options: {
    model: { type: 'string', multiple: true, default: [...SHAPE_NAMES] },
    size: { type: 'string', multiple: true, default: ['224', '518'] },
    registers: { type: 'string', multiple: true, default: ['no', 'yes'] },
    build: { type: 'string', default: 'auto' },
    brief: { type: 'boolean', default: false },
  },
});

let failures = 0;
console.log('| model | pixels | tokens | what | result | seconds |\n|---|---|---|---|---|---|');
for (const name of values.model as ShapeName[]) {
  for (const registers of values.registers.map((word) => word === 'yes')) {
    const folder = mkdtempSync(join(tmpdir(), 'dinov2-shapes-'));
    try {
      const config = configOf(name, { registers });
      await writeModel(folder, config, SEED);
      for (const size of values.size.map(Number)) await checkModel(`${name}${registers ? ', registers' : ''}`, folder, config, size);
    } finally {
      rmSync(folder, { recursive: true });
    }
  }
}
if (failures > 0) {
  console.log(`${failures} failed`);
  process.exitCode = 1;
}

async function checkModel(name: string, folder: string, config: Dinov2Config, size: number): Promise<void> {
  const side = Math.floor(size / config.patchSize[0]);
  const count = 1 + config.registers + side * side;
  const dims = tensorsOf(config);
  const isLarge = [...dims.values()].reduce((sum, shape) => sum + 4 * shape.reduce((a, b) => a * b, 1), 0) > MEMORY;
  const report = (what: string, isRight: boolean, result: string, start: number): void => {
    if (!isRight) failures += 1;
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    console.log(`| ${name} | ${size} | ${count} | ${what} | ${isRight ? result : `WRONG: ${result}`} | ${seconds} |`);
  };
  const pixels = new Tensor('float32', pattern(3 * size * size), [1, 3, size, size]);
  const other = new Tensor('float32', pattern(6 * size * size).subarray(3 * size * size), [1, 3, size, size]);
  const load = (options: FromPretrainedOptions): Promise<Dinov2Model> =>
    AutoModel.from_pretrained(folder, { build: values.build as 'auto', threads: 1, ...options }) as Promise<Dinov2Model>;

  let start = performance.now();
  const model = await load({});
  const { last_hidden_state: expected, hidden_states = [] } = await model(pixels, { output_hidden_states: true });
  const memory = (model.memory / 2 ** 20).toFixed(0);
  report(`float32, ${model.build}${isLarge ? ', blocks from the file' : ''}`, areFinite(expected.data), `${memory} MiB`, start);

  start = performance.now();
  const states = [...hidden_states.map(({ data }) => data), expected.data];
  const errors = stageErrors(config, {
    size,
    pixels: pixels.data,
    states,
    weights: (weight) => roundedWeight(weight, dims.get(weight) ?? [], SEED),
  });
  const worst = errors.reduce((a, b) => (b.error > a.error ? b : a));
  report(
    `every block for ${errors[0]?.tokens} tokens, against float64`,
    errors.every(({ error }) => error <= TOLERANCE),
    `off by ${worst.error.toExponential(1)} of the largest at most, in ${worst.what}`,
    start,
  );

  const same = async (what: string, run: () => Promise<Float32Array>): Promise<void> => {
    start = performance.now();
    const found = await run();
    const different = found.findIndex((value, i) => !Object.is(value, expected.data[i]));
    report(
      what,
      found.length === expected.data.length && different === -1,
      different === -1 ? 'the same bits' : `differs at ${different}`,
      start,
    );
  };
  if (!values.brief) {
    await model(other);
    await same('again, after another picture', async () => (await model(pixels)).last_hidden_state.data);
    if (!isLarge) {
      await same('in a batch, behind another picture', async () => {
        const both = new Float32Array(2 * pixels.data.length);
        both.set(other.data);
        both.set(pixels.data, pixels.data.length);
        return (await model(new Tensor('float32', both, [2, 3, size, size]))).last_hidden_state.at(1).data;
      });
      await same('traced', async () => (await (await model.trace({ height: size, width: size }))(pixels)).last_hidden_state.data);
    }
  }
  if (hasPeers() && config.registers === 0 && !config.use_swiglu_ffn) {
    start = performance.now();
    const job = { dtype: 'f32', threads: 1, size } as const;
    const forward = await onnxruntimeWeb.load(await onnxruntimeWeb.prepare(model, folder, job), job);
    const { difference } = agreement(await forward(pixels.data), expected.data, config.hidden_size);
    report(
      'every token, against onnxruntime-web',
      difference <= PEER_TOLERANCE,
      `off by ${difference.toExponential(1)} of the largest`,
      start,
    );
  }
  const { memory: whole } = model;
  model.dispose();
  const inAnother = (options: FromPretrainedOptions) => async (): Promise<Float32Array> => {
    const another = await load(options);
    try {
      if (options.memoryLimit !== undefined && another.memory >= whole) throw new Error(`expected less than ${whole} bytes, found all`);
      return (await another(pixels)).last_hidden_state.data;
    } finally {
      another.dispose();
    }
  };
  if (!values.brief) {
    await same('on two threads', inAnother({ threads: 2 }));
    const blocks = config.num_hidden_layers;
    if (!isLarge) await same('half of the blocks from the file', inAnother({ memoryLimit: limitFor(config, blocks / 2) }));
    for (const dtype of ['float16', 'int8'] as const) {
      start = performance.now();
      const found = await inAnother({ dtype })();
      const alike = cosine(found.subarray(0, config.hidden_size), expected.data.subarray(0, config.hidden_size));
      report(dtype, alike >= LEAST_COSINE[dtype], `cosine ${alike.toFixed(6)} of the class token`, start);
    }
  }
}

function areFinite(values: Float32Array): boolean {
  return values.every(Number.isFinite);
}

/** A limit within which about so many blocks stay in memory, and the activations of any of the sizes. */
function limitFor(config: Dinov2Config, blocks: number): number {
  const bytes = (part: (name: string) => boolean): number =>
    [...tensorsOf(config)].reduce((sum, [name, dims]) => sum + (part(name) ? 4 * dims.reduce((a, b) => a * b, 1) : 0), 0);
  const block = bytes((name) => name.startsWith('encoder.layer.0.'));
  return Math.ceil(
    bytes((name) => !name.startsWith('encoder.')) + block * (blocks + 1) + 4 * 1374 * 16 * config.hidden_size + 16 * 2 ** 20,
  );
}
