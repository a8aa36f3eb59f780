import { ArgumentError, Dinov2Error, ImageError } from '../errors.ts';
import type { ReadOptions } from './rawImage.ts';

export type Decode = NonNullable<ReadOptions['decode']>;

/** What decodes files in place of the decoder for PNG and JPEG. */
export interface Decoder {
  /** URL of the module that exports it as `decode`, for threads. */
  readonly module: string;
  readonly decode: Decode;
}

/**
 * The function `decode` that a module exports. What it throws becomes an {@link ImageError}.
 * @throws {ArgumentError} when there is none
 */
export function decodeOf(exports: object, module: string): Decode {
  const { decode } = exports as { decode?: unknown };
  if (typeof decode !== 'function') {
    const found = Object.keys(exports).join(', ') || 'nothing';
    throw new ArgumentError(
      `${module}: expected a module that exports a function decode(bytes), giving { data, width, height, channels }, found exports: ${found}`,
    );
  }
  return async (bytes) => {
    try {
      return await decode(bytes);
    } catch (cause) {
      if (cause instanceof Dinov2Error) throw cause;
      throw new ImageError(`expected a picture that the decoder of ${module} reads, found: ${(cause as Error)?.message ?? cause}`, {
        cause,
      });
    }
  };
}
