import { ArgumentError } from '../errors.ts';
import type { ImageInput } from '../image/rawImage.ts';
import { AutoImageProcessor, AutoModel } from '../index.ts';
import { embed, type Pooling } from '../tasks/index.ts';
import type { Float32 } from '../tensor/index.ts';
import type { ModelSetup } from './batch.ts';

/** An encoder that gives one feature an image, for classifiers on it. */
export interface FrozenEncoder {
  /** Numbers of a feature. */
  readonly width: number;
  /** The feature of an image: (1, width) */
  featureOf(image: ImageInput): Promise<Float32>;
  /** Images that are worth preparing before the model needs them. */
  readonly ahead: number;
  /** Its two steps: what the model takes of an image, (1, channels, height, width), */
  prepare(image: ImageInput): Promise<Float32>;
  /** and the feature of that. */
  encode(pixel_values: Float32): Promise<Float32>;
  /** Resolves when no file is open any more. */
  dispose(): Promise<void>;
}

/** An encoder that disposes of the setup's reader too. @throws as `from_pretrained` */
export async function openEncoder({ source, loading, reader }: ModelSetup, { pooling }: { pooling: Pooling }): Promise<FrozenEncoder> {
  const { signal } = loading;
  const processor = await AutoImageProcessor.from_pretrained(source);
  const model = await AutoModel.from_pretrained(source, loading);
  const { hidden_size, registers } = model.config;
  const prepare: FrozenEncoder['prepare'] = async (image) => (await reader.process(processor, image, { signal })).pixel_values;
  const encode: FrozenEncoder['encode'] = async (pixel_values) => {
    const { last_hidden_state } = await model({ pixel_values }, { signal });
    return embed(last_hidden_state, { pooling, registers });
  };
  return {
    width: pooling === 'both' ? 2 * hidden_size : hidden_size,
    featureOf: async (image) => encode(await prepare(image)),
    ahead: reader.ahead,
    prepare,
    encode,
    dispose: () => {
      model.dispose();
      return reader.dispose();
    },
  };
}

/**
 * Makes sure that a classifier takes the features of an encoder; which is disposed otherwise.
 * @throws {ArgumentError} naming the classifier
 */
export async function checkFits(head: string, classifier: { readonly width: number }, encoder: FrozenEncoder): Promise<void> {
  if (classifier.width === encoder.width) return;
  await encoder.dispose();
  throw new ArgumentError(
    `${head}: expected a model with features of ${classifier.width} numbers, as it was fitted to, found one of ${encoder.width}: give that --model`,
  );
}
