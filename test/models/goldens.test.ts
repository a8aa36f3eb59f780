import { readdirSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { AutoBackbone, AutoModel, AutoModelForImageClassification } from '../../src/models/auto.ts';
import type { FromPretrainedOptions } from '../../src/models/pretrained.ts';
import type { Tensor } from '../../src/tensor/index.ts';
import { goldenPath } from '../helpers.ts';
import { assertWithin } from '../reference/compare.ts';
import { flatten, type GoldenCall, goldenCalls } from './helpers.ts';

/** Absolute; the goldens are of order one. */
const TOLERANCE = 1e-4;
const LATEST = 'latest_';

type Run = (inputs: object) => Promise<object>;
type Load = (folder: string, options: FromPretrainedOptions) => Promise<Run & { dispose(): void }>;

const cases = (kind: string): string[] => readdirSync(goldenPath('')).filter((name) => name.startsWith(kind));

/** Loads, runs and disposes of a model. */
async function run(load: Load, name: string, options: FromPretrainedOptions, inputs: object): Promise<Map<string, Tensor>> {
  const model = await load(goldenPath(name), options);
  try {
    return flatten(await model(inputs));
  } finally {
    model.dispose();
  }
}

function compare(found: ReadonlyMap<string, Tensor>, outputs: GoldenCall['outputs']): void {
  assert.equal([...found.keys()].sort(), [...outputs.keys()].sort());
  for (const [key, expected] of outputs) {
    const output = found.get(key) as Tensor<'float32'>;
    if (key !== 'loss') assert.equal(output.dims, expected.dims, key); // a scalar, which the goldens keep as [1]
    assertWithin(output.data, expected.data, TOLERANCE, key);
  }
}

const EVERYTHING = { output_hidden_states: true, output_attentions: true };

for (const name of cases('encoder')) {
  for (const [call, { inputs, outputs }] of await goldenCalls(name)) {
    const given = { ...Object.fromEntries(inputs), ...EVERYTHING };
    const isLatest = ([key]: [string, unknown]): boolean => key.startsWith(LATEST);

    test(`${name}, ${call}: every output is that of transformers v4.37.2`, async () => {
      const expected = [...outputs].filter((entry) => !isLatest(entry));
      assert.ok(expected.length > 4);
      compare(await run(AutoModel.from_pretrained as Load, name, {}, given), new Map(expected));
    });

    test(`${name}, ${call}: with positions interpolated by size the output is that of transformers 5.18`, async () => {
      const found = await run(AutoModel.from_pretrained as Load, name, { posEmbed: 'size' }, given);
      const expected = [...outputs].filter(isLatest).map(([key, tensor]) => [key.slice(LATEST.length), tensor] as const);
      assert.is(expected.length, 1);
      compare(new Map(expected.map(([key]) => [key, found.get(key) as Tensor])), new Map(expected));
    });
  }
}

for (const name of cases('classify')) {
  for (const [call, { inputs, outputs }] of await goldenCalls(name)) {
    test(`${name}, ${call}: logits and loss are those of transformers`, async () => {
      const load = AutoModelForImageClassification.from_pretrained as Load;
      compare(await run(load, name, {}, Object.fromEntries(inputs)), outputs);
    });

    test(`${name}, ${call}: so they are where the problem type is left to the labels`, async () => {
      const load = AutoModelForImageClassification.from_pretrained as Load;
      compare(await run(load, name, { config: { problem_type: null } }, Object.fromEntries(inputs)), outputs);
    });
  }
}

for (const name of cases('backbone')) {
  for (const [call, { inputs, outputs }] of await goldenCalls(name)) {
    test(`${name}, ${call}: feature maps are those of transformers, in the order of the stages`, async () => {
      compare(await run(AutoBackbone.from_pretrained as Load, name, {}, Object.fromEntries(inputs)), outputs);
    });
  }
}

for (const name of cases('registers')) {
  const auto = name.endsWith('backbone') ? AutoBackbone : name.endsWith('classify') ? AutoModelForImageClassification : AutoModel;
  for (const [call, { inputs, outputs }] of await goldenCalls(name)) {
    test(`${name}, ${call}: with registers, outputs are those of transformers 5.18`, async () => {
      const given = { ...Object.fromEntries(inputs), output_attentions: auto === AutoModel };
      const found = await run(auto.from_pretrained as Load, name, {}, given);
      compare(new Map([...found].filter(([key]) => outputs.has(key))), outputs); // of the attentions the golden has kept the first
    });
  }
}

test('there are goldens of every kind', () => {
  assert.ok(
    cases('encoder').length >= 10 && cases('classify').length >= 4 && cases('backbone').length >= 4 && cases('registers').length === 3,
  );
});

test.run();
