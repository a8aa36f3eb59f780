/**
 * What int8 costs in depth heads: node --conditions=dinov2-source --import tsx bench/models/headInt8.ts FOLDER [anything|dpt]
 *
 * FOLDER: an encoder of the shape of ViT-S/14 with real weights. On it goes a head of random weights, of the variance that keeps the scale of what goes
 * through it (He et al. 2015), and a last bias that brings depths to 1 to 5. Prints the mean relative difference of the depth from that in float32,
 * and the correlation with it, for each PNG of examples/photos: the whole model in int8, its encoder alone, its head alone.
 */
import { readdirSync } from 'node:fs';
import type { Stage } from '../../src/heads/dpt.ts';
import {
  AutoImageProcessor,
  AutoModel,
  DepthAnythingForDepthEstimation,
  type Dinov2Config,
  Dinov2ForDepthEstimation,
  Tensor,
} from '../../src/index.ts';
import type { Parameters } from '../../src/nn/parameters.ts';
import type { Engine } from '../../src/runtime/engine.ts';
import { type Float32, placed } from '../../src/tensor/place.ts';
import { uniform } from '../../test/reference/random.ts';
import { table } from '../report/markdown.ts';
import { DEPTH_ANYTHING } from './configs.ts';

/** A last bias that no random depth is below. */
const HIGH = 2000;
const PHOTOS = new URL('../../examples/photos/', import.meta.url);

interface Depth {
  (inputs: { pixel_values: Float32 }): Promise<{ predicted_depth: Float32 }>;
  readonly engine: Engine;
  readonly parameters: Parameters;
  decode(stages: readonly Stage[], picture: unknown): Float32;
}

const [folder = '.', kind = 'anything'] = process.argv.slice(2);
const encoder = await AutoModel.from_pretrained(folder);
const weights = new Map(encoder.weights());
const { model_type: _, out_features: _f, out_indices: _i, ...fields } = encoder.config.to_dict();
encoder.dispose();
const processor = await AutoImageProcessor.from_pretrained(folder);
const photos: Float32[] = [];
for (const name of readdirSync(PHOTOS).filter((file) => file.endsWith('.png'))) {
  photos.push((await processor(new URL(name, PHOTOS))).pixel_values);
}

const exact = make('float32');
lift(exact, HIGH);
const seen = (await depths(exact)).flatMap((depth) => [...depth]);
const [least, most] = [seen.reduce((a, b) => Math.min(a, b)), seen.reduce((a, b) => Math.max(a, b))];
const bias = HIGH - least + (most - least) / 4;
lift(exact, bias);
const expected = await depths(exact);
const whole = make('int8');
lift(whole, bias);
const rows = [['encoder and head', ...compare(await depths(whole))]];
const swapped = make('float32');
swapped.decode = through(swapped, whole);
rows.push(['head', ...compare(await depths(swapped))]);
whole.decode = through(whole, exact);
rows.push(['encoder', ...compare(await depths(whole))]);
console.log(table(['in int8', 'mean relative difference', 'correlation'], rows));

function make(dtype: 'float32' | 'int8'): Depth {
  const backbone_config = { ...fields, model_type: 'dinov2', out_indices: [3, 6, 9, 12], reshape_hidden_states: false };
  const model = (kind === 'dpt'
    ? new Dinov2ForDepthEstimation({ ...fields, head_type: 'dpt', max_depth: 1e9 }, { dtype, initialize: false })
    : new DepthAnythingForDepthEstimation(
        { backbone_config, reassemble_hidden_size: 384, ...DEPTH_ANYTHING.S } as unknown as Dinov2Config,
        {
          dtype,
          initialize: false,
        },
      )) as unknown as Depth;
  const { engine, parameters } = model;
  for (const { allocate } of parameters.all) allocate();
  for (const [i, { name, dims, load }] of parameters.all.entries()) {
    const own = weights.get(name.replace(/^backbone\./, ''));
    engine.scope(() => load(own ?? random(dims, { seed: i, isTransposed: /layers\.[01]\.resize/.test(name) })));
  }
  return model;
}

/** Weights of a normal distribution; small biases. */
function random(dims: readonly number[], { seed, isTransposed }: { seed: number; isTransposed: boolean }): Float32 {
  const next = uniform(seed);
  const size = dims.reduce((product, d) => product * d, 1);
  const inputs = dims.length === 1 ? 2e4 : isTransposed ? (dims[0] as number) : size / (dims[0] as number);
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
  return new Tensor(
    'float32',
    Float32Array.from({ length: size }, () => normal() * Math.sqrt(2 / inputs)),
    dims,
  );
}

function lift({ parameters }: Depth, bias: number): void {
  parameters.all.findLast(({ name }) => /^head\..*bias$/.test(name))?.load(new Tensor('float32', [bias], [1]));
}

async function depths(model: Depth): Promise<Float32Array[]> {
  const found: Float32Array[] = [];
  for (const pixel_values of photos) found.push((await model({ pixel_values })).predicted_depth.data);
  return found;
}

/** The head of another model, on what the encoder of a model gives. */
function through(model: Depth, other: Depth): Depth['decode'] {
  const decode = other.decode.bind(other);
  return (stages, picture) => {
    const there = stages.map(({ classToken, patches }) => ({ classToken: classToken.clone(), patches: patches.clone() }));
    const map = other.engine.scope(() => {
      const put = (x: Float32): Float32 => placed(other.engine, x);
      return decode(
        there.map(({ classToken, patches }) => ({ classToken: put(classToken), patches: put(patches) })),
        picture,
      ).clone();
    });
    return placed(model.engine, map);
  };
}

function compare(found: readonly Float32Array[]): string[] {
  const differences = found.map((depth, i) => {
    const own = expected[i] as Float32Array;
    return depth.reduce((sum, x, e) => sum + Math.abs(x - (own[e] as number)) / (own[e] as number) / depth.length, 0);
  });
  const list = (values: readonly number[], digits: number): string => values.map((value) => value.toFixed(digits)).join(', ');
  return [
    list(differences, 4),
    list(
      found.map((depth, i) => correlation(depth, expected[i] as Float32Array)),
      5,
    ),
  ];
}

/** Pearson's. */
function correlation(a: Float32Array, b: Float32Array): number {
  const centred = (x: Float32Array): Float64Array => {
    const mean = x.reduce((sum, value) => sum + value, 0) / x.length;
    return Float64Array.from(x, (value) => value - mean);
  };
  const [u, v] = [centred(a), centred(b)];
  const dot = (x: Float64Array, y: Float64Array): number => x.reduce((sum, value, i) => sum + value * (y[i] as number), 0);
  return dot(u, v) / Math.sqrt(dot(u, u) * dot(v, v));
}
