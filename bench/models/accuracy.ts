import { readdirSync, readFileSync } from 'node:fs';
import {
  AutoBackbone,
  AutoImageProcessor,
  AutoModel,
  AutoModelForDepthEstimation,
  AutoModelForImageClassification,
  type Dinov2ForDepthEstimation,
  Dinov2Model,
  NotFoundError,
} from '../../src/index.ts';
import type { Float32 } from '../../src/tensor/place.ts';
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
  results.push(await overDepths());
  return { results, skipped: [] };
}

/** Depth, of heads in the layout of transformers and, on an encoder of their own, of facebookresearch/dinov2. */
async function overDepths(): Promise<Accuracy> {
  const tally = new Tally();
  const compare = async (
    name: string,
    key: string,
    open: ReturnType<typeof AutoModelForDepthEstimation.from_pretrained>,
  ): Promise<void> => {
    const io = await readTensors(goldenPath(`${name}/io.safetensors`));
    const model = (await open) as Dinov2ForDepthEstimation;
    for (const call of ['a', 'b']) {
      const { predicted_depth } = await model({ pixel_values: io.get(`${call}.pixel_values`) as Float32 });
      const expected = io.get(`${call}.${key}`)?.data as Float32Array;
      const largest = expected.reduce((top, x) => Math.max(top, Math.abs(x)), 0);
      tally.add(
        predicted_depth.data.map((x) => x / largest),
        expected.map((x) => x / largest),
      );
    }
    model.dispose();
  };
  for (const name of ['depth-dpt', 'depth-anything-relative', 'depth-anything-metric'])
    await compare(name, 'predicted_depth', AutoModelForDepthEstimation.from_pretrained(goldenPath(name), { posEmbed: 'size' }));
  for (const name of ['fb-depth-linear', 'fb-depth-linear4', 'fb-depth-dpt']) {
    const { min_depth, max_depth } = JSON.parse(readFileSync(goldenPath(`${name}/config.json`), 'utf8'));
    const options = {
      head: goldenPath(`${name}/model.pth`),
      depthRange: [min_depth, max_depth] as const,
      config: { num_attention_heads: 4 },
    };
    await compare(name, 'depth', AutoModelForDepthEstimation.from_pretrained(goldenPath('fb-backbone/model.pth'), options));
  }
  return { what: 'goldens: depth, as a share of the largest in its map', ...tally.result };
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
