import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Dinov2Model } from '../../src/index.ts';
import { DTYPES, type Engine, type Forward, type Job } from './engine.ts';

type Library = typeof import('../../src/index.ts');
type Call = (input: InstanceType<Library['Tensor']>) => ReturnType<Dinov2Model['forward']>;

/** The library as it is published: a loader of TypeScript would count as memory of the engine. */
const LIBRARY = new URL('../../dist/index.js', import.meta.url).href;

/** This library. */
export const dinov2: Engine = {
  name: 'dinov2-wasm',
  dtypes: ['f32', 'f16', 'int8'],
  maxThreads: Number.POSITIVE_INFINITY,
  prepare,
  load: (folder, job) => load(folder, job, async (model) => model),
};

/** This library, the model fixed to the size of the picture. */
export const traced: Engine = {
  ...dinov2,
  name: 'dinov2-wasm traced',
  optional: true,
  load: (folder, job) => load(folder, job, (model) => model.trace({ height: job.size, width: job.size })),
};

/** A checkpoint in the dtype of the job, quantised without calibration. */
async function prepare(model: Dinov2Model, parent: string, job: Job): Promise<string> {
  const folder = join(parent, `dinov2-${job.dtype}`);
  if (existsSync(join(folder, 'config.json'))) return folder;
  if (job.dtype === 'int8') {
    const Class = model.constructor as typeof Dinov2Model;
    using quantized = await Class.from_pretrained(await prepare(model, parent, { ...job, dtype: 'f32' }), { dtype: 'int8' });
    await quantized.save_pretrained(folder);
  } else {
    await model.save_pretrained(folder, { dtype: DTYPES[job.dtype] });
  }
  return folder;
}

async function load(folder: string, { dtype, threads, size }: Job, callable: (model: Dinov2Model) => Promise<Call>): Promise<Forward> {
  const { Dinov2Model, Tensor } = await library();
  const model = await Dinov2Model.from_pretrained(folder, { dtype: DTYPES[dtype], threads });
  if (model.threads !== threads) throw new Error(`expected ${threads} threads, found ${model.threads}, which is what this host gives`);
  const run = await callable(model);
  return async (pixels) => (await run(new Tensor('float32', pixels, [1, 3, size, size]))).last_hidden_state.data;
}

function library(): Promise<Library> {
  return import(LIBRARY);
}
