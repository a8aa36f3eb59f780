/**
 * What int8 costs on labelled photographs: node --conditions=dinov2-source --import tsx bench/models/probe.ts FOLDER [COUNT]
 *
 * FOLDER: a model, `probe.safetensors` (`classifier.weight` and `.bias` on [class token, mean of the patch tokens]), `probe.json` ({ photos: { file:
 * class } }) and the photographs in `clothing/`. Prints, for int8 without calibration and with that of the first 8 photographs, the cosine of the class
 * token to float32, mean and worst, on how many photographs the probe says the same, and how many it gets right.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openCheckpoint } from '../../src/checkpoint/shards.ts';
import { AutoImageProcessor, AutoModel, argmax, type Dinov2Model } from '../../src/index.ts';
import { embed } from '../../src/tasks/index.ts';
import { linear } from '../../src/tensor/index.ts';
import type { Float32 } from '../../src/tensor/place.ts';
import { table } from '../report/markdown.ts';

const CALIBRATION = 8;

const [folder = '.', count = 'all'] = process.argv.slice(2);
const { photos } = JSON.parse(readFileSync(join(folder, 'probe.json'), 'utf8')) as { photos: Record<string, number> };
const all = Object.entries(photos);
const wanted = count === 'all' ? all : all.filter((_, i) => i % Math.ceil(all.length / Number(count)) === 0);
const processor = await AutoImageProcessor.from_pretrained(folder);
const probe = await openCheckpoint(join(folder, 'probe.safetensors'));
const [weight, bias] = [await probe.read('classifier.weight'), await probe.read('classifier.bias')];
await probe.close();

async function* batches(names: readonly string[]) {
  for (const name of names) yield { pixel_values: (await processor(join(folder, 'clothing', name))).pixel_values };
}

async function featuresOf(model: Dinov2Model): Promise<Float32[]> {
  const features: Float32[] = [];
  for await (const inputs of batches(wanted.map(([name]) => name))) {
    features.push(embed((await model(inputs)).last_hidden_state, { pooling: 'both', registers: model.config.registers }));
  }
  return features;
}

const reference = await AutoModel.from_pretrained(folder);
const expected = await featuresOf(reference);
const calibration = await reference.calibrate(batches(all.slice(0, CALIBRATION).map(([name]) => name)));
reference.dispose();

const rows: string[][] = [];
const classOf = (features: Float32): number => argmax(linear(features, weight, bias));
const right = (found: readonly Float32[]): number => found.filter((features, i) => classOf(features) === wanted[i]?.[1]).length;
for (const [name, options] of [
  ['int8', {}],
  [`int8, calibrated on ${CALIBRATION}`, { calibration }],
] as const) {
  using model = await AutoModel.from_pretrained(folder, { dtype: 'int8', ...options });
  const found = await featuresOf(model);
  const cosines = found.map((features, i) => cosine(features, expected[i] as Float32, model.config.hidden_size));
  const same = found.filter((features, i) => classOf(features) === classOf(expected[i] as Float32)).length;
  const mean = cosines.reduce((sum, c) => sum + c, 0) / cosines.length;
  rows.push([
    name,
    mean.toFixed(5),
    Math.min(...cosines).toFixed(5),
    `${same} of ${wanted.length}`,
    `${right(found)}, float32 ${right(expected)}`,
  ]);
}
console.log(table(['weights', 'cosine, mean', 'worst', 'same label', 'right'], rows));

/** Of the first `width` numbers, the class token. */
function cosine(a: Float32, b: Float32, width: number): number {
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < width; i++) {
    const [x, y] = [a.data[i] as number, b.data[i] as number];
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  return ab / Math.sqrt(aa * bb);
}
