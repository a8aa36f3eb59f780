import { readdirSync } from 'node:fs';
import {
  AutoBackbone,
  AutoImageProcessor,
  AutoModel,
  AutoModelForImageClassification,
  Dinov2Model,
  NotFoundError,
} from '../../src/index.ts';
import { goldenPath } from '../../test/helpers.ts';
import { flatten, goldenCalls, readTensors } from '../../test/models/helpers.ts';
import { type Choice, casesOf, labelOf, type Skipped, withModel } from './cases.ts';
import { agreement } from './speed.ts';

const PHOTOS = new URL('../../examples/photos/', import.meta.url);

export interface Accuracy {
  readonly what: string;
  /** Numbers compared. */
  readonly count: number;
  /** Largest absolute difference from PyTorch. */
  readonly difference: number;
  /** Largest absolute value of the reference. */
  readonly largest: number;
  /** Of the class tokens with PyTorch's: mean and worst over the photographs. */
  readonly cosine?: { readonly mean: number; readonly worst: number };
}

export interface Differences {
  readonly results: readonly Accuracy[];
  readonly skipped: readonly Skipped[];
}

const KINDS = [
  { kind: 'encoder', what: 'goldens: encoder, all hidden states and attentions', auto: AutoModel },
  { kind: 'classify', what: 'goldens: classifier, logits and losses', auto: AutoModelForImageClassification },
  { kind: 'backbone', what: 'goldens: backbone, feature maps', auto: AutoBackbone },
];

/** Differences of this library from PyTorch over the goldens. */
export async function accuracy(): Promise<Differences> {
  const results = [];
  for (const { kind, what, auto } of KINDS) results.push(await overGoldens(kind, what, auto as { from_pretrained: Load }));
  return { results, skipped: [] };
}

type Model = ((inputs: object, options?: object) => Promise<object>) & { dispose(): void };
type Load = (folder: string) => Promise<Model>;

async function overGoldens(kind: string, what: string, auto: { from_pretrained: Load }): Promise<Accuracy> {
  const tally = new Tally();
  for (const name of readdirSync(goldenPath('')).filter((folder) => folder.startsWith(kind))) {
    const model = await auto.from_pretrained(goldenPath(name));
    for (const { inputs, outputs } of (await goldenCalls(name)).values()) {
      const options = kind === 'encoder' ? { output_hidden_states: true, output_attentions: true } : {};
      for (const [key, found] of flatten(await model(Object.fromEntries(inputs), options))) {
        const expected = outputs.get(key);
        if (expected) tally.add(found.data, expected.data);
      }
    }
    model.dispose();
  }
  return { what, ...tally.result };
}

/**
 * Differences of the engines from PyTorch on a full-size model, over photographs at 224 x 224.
 * @param folder with config.json, model.safetensors, preprocessor_config.json, and PyTorch's outputs in io.safetensors
 */
export async function accuracyOfEngines(folder: string, { engines, dtypes }: Choice): Promise<Differences> {
  const photos = await photosOf(folder);
  using model = await Dinov2Model.from_pretrained(folder);
  return await withModel({ model, size: 224, engines }, async (bench) => {
    const results = [];
    for (const item of casesOf({ engines, dtypes, threads: [1] })) {
      const process = await bench.start(item);
      if (!process) continue;
      const tally = new Tally();
      const cosines = [];
      for (const { pixels, expected } of photos) {
        const found = await process.forward(pixels);
        tally.add(found, expected);
        cosines.push(agreement(found, expected, model.config.hidden_size).cosine);
      }
      await process.stop();
      const cosine = { mean: cosines.reduce((sum, value) => sum + value / cosines.length, 0), worst: Math.min(...cosines) };
      results.push({ what: `${photos.length} photographs: ${labelOf(item)}`, ...tally.result, cosine });
    }
    return { results, skipped: bench.skipped };
  });
}

/** The photographs of examples/photos of which the folder has the output of PyTorch. */
async function photosOf(folder: string): Promise<{ readonly pixels: Float32Array<ArrayBuffer>; readonly expected: Float32Array }[]> {
  const references = await readTensors(`${folder}/io.safetensors`);
  const processor = await AutoImageProcessor.from_pretrained(folder);
  const photos = [];
  for (const file of readdirSync(PHOTOS).filter((name) => name.endsWith('.png'))) {
    const expected = references.get(`${file.slice(0, -'.png'.length)}.last_hidden_state`);
    if (!expected) continue;
    const { pixel_values } = await processor(new URL(file, PHOTOS));
    photos.push({ pixels: pixel_values.data as Float32Array<ArrayBuffer>, expected: expected.data as Float32Array });
  }
  if (photos.length === 0)
    throw new NotFoundError(`${folder}/io.safetensors: expected outputs for pictures of examples/photos, found none`);
  return photos;
}

class Tally {
  result = { count: 0, difference: 0, largest: 0 };

  add(found: Float32Array, expected: Float32Array): void {
    const { result } = this;
    result.count += expected.length;
    for (const [i, value] of expected.entries()) {
      result.difference = Math.max(result.difference, Math.abs(value - (found[i] as number)));
      result.largest = Math.max(result.largest, Math.abs(value));
    }
  }
}
