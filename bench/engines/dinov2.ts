import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ArgumentError, Dinov2Error } from '../../src/errors.ts';
import type { Dinov2Model, FromPretrainedOptions } from '../../src/index.ts';
import type { SavePretrainedOptions } from '../../src/models/pretrained.ts';
import type { Engine, Forward, Job } from './engine.ts';

type Library = typeof import('../../src/index.ts');

/** The library as it is published: a loader of TypeScript would count as memory of the engine. */
const LIBRARY = new URL('../../dist/index.js', import.meta.url).href;

/** Of the checkpoint that a job loads, and of the weights in memory. */
const DTYPES = {
  f32: { saved: 'float32', loaded: 'float32' },
  f16: { saved: 'float16', loaded: 'f16' },
  int8: { saved: 'int8', loaded: 'int8' },
};

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

/** A checkpoint in the dtype of the job; in float16, to be quantised on loading, where this version of the library writes no int8. */
async function prepare(model: Dinov2Model, parent: string, { dtype }: Job): Promise<string> {
  const folder = join(parent, `dinov2-${dtype}`);
  if (existsSync(join(folder, 'config.json'))) return folder;
  try {
    await model.save_pretrained(folder, { dtype: DTYPES[dtype].saved } as SavePretrainedOptions);
  } catch (error) {
    if (dtype !== 'int8' || !(error instanceof Dinov2Error)) throw error;
    await model.save_pretrained(folder, { dtype: 'float16' });
  }
  return folder;
}

async function load(
  folder: string,
  { dtype, threads, size }: Job,
  callable: (model: Dinov2Model) => Promise<(input: InstanceType<Library['Tensor']>) => ReturnType<Dinov2Model['forward']>>,
): Promise<Forward> {
  const { Dinov2Model, Tensor } = (await import(LIBRARY)) as Library;
  const open = (options: object): Promise<Dinov2Model> => Dinov2Model.from_pretrained(folder, options as FromPretrainedOptions);
  const options = { dtype: DTYPES[dtype].loaded };
  const model = await open({ ...options, threads }).catch((error: Error) => {
    if (threads > 1 || error.name !== ArgumentError.name) throw error;
    return open(options); // a version without threads
  });
  const run = await callable(model);
  return async (pixels) => (await run(new Tensor('float32', pixels, [1, 3, size, size]))).last_hidden_state.data;
}
