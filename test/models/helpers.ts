import { readFileSync } from 'node:fs';
import { host } from '#host';
import { openSafetensors } from '../../src/checkpoint/safetensors.ts';
import type { FileSystem } from '../../src/hosts/host.ts';
import type { Dinov2ConfigFields } from '../../src/models/config.ts';
import { Tensor } from '../../src/tensor/index.ts';
import type { Float32 } from '../../src/tensor/place.ts';
import { goldenPath } from '../helpers.ts';
import { randomTensor } from '../tensor/helpers.ts';

/** One call of a reference model: what it was given and what it gave, by name; lists as "attentions.0", "attentions.1", ... */
export interface GoldenCall {
  readonly inputs: ReadonlyMap<string, Tensor>;
  readonly outputs: ReadonlyMap<string, Float32>;
}

/** All tensors of a safetensors file. */
export async function readTensors(path: string): Promise<Map<string, Tensor>> {
  const file = await openSafetensors(await (host.files as FileSystem).open(path));
  const tensors = new Map<string, Tensor>();
  for (const name of file.entries.keys()) tensors.set(name, await file.read(name));
  await file.close();
  return tensors;
}

/** The calls of a case in test/goldens, by name. */
export async function goldenCalls(name: string): Promise<Map<string, GoldenCall>> {
  const { calls } = JSON.parse(readFileSync(goldenPath(`${name}/case.json`), 'utf8')) as { calls: Record<string, { inputs: string[] }> };
  const tensors = await readTensors(goldenPath(`${name}/io.safetensors`));
  return new Map(
    Object.entries(calls).map(([call, { inputs }]) => {
      const own = [...tensors]
        .filter(([key]) => key.startsWith(`${call}.`))
        .map(([key, tensor]) => [key.slice(call.length + 1), tensor] as const);
      return [
        call,
        {
          inputs: new Map(own.filter(([key]) => inputs.includes(key))),
          outputs: new Map(own.filter(([key]) => !inputs.includes(key)) as [string, Float32][]),
        },
      ];
    }),
  );
}

/** An output under the names that goldens have. */
export function flatten(output: object): Map<string, Float32> {
  return new Map(
    Object.entries(output).flatMap(([key, value]): [string, Float32][] =>
      Array.isArray(value) ? value.map((item, i) => [`${key}.${i}`, item]) : [[key, value]],
    ),
  );
}

/** The output of a call that repeats the steps of one before, of other pixels. */
export async function repeated<Output>(
  model: (inputs: { pixel_values: Float32 }) => Promise<Output>,
  inputs: { pixel_values: Float32 },
): Promise<Output> {
  const { pixel_values: x } = inputs;
  const other = { pixel_values: new Tensor('float32', x.data.toReversed(), x.dims) };
  for (let i = 0; i < 3; i++) await model(other);
  return model(inputs);
}

/** A configuration of a model that runs in milliseconds, with tails in every dimension. */
export const TINY = {
  hidden_size: 12,
  num_hidden_layers: 3,
  num_attention_heads: 3,
  image_size: 20,
  patch_size: 4,
  num_channels: 2,
  mlp_ratio: 2.5,
  initializer_range: 0.5,
  num_labels: 5,
} as const satisfies Dinov2ConfigFields;

/** pixel_values for a {@link TINY} model. */
export function pixels(batch: number, height = 20, width = height, seed = 1): Float32 {
  return randomTensor([batch, TINY.num_channels, height, width], seed, 2);
}
