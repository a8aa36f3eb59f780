import type { Address } from '../../runtime/memory.ts';

/** Some rows of the result of a convolution, and the image that they are made of. */
export interface Band {
  /** Where an image (height, width, channels) is, or would be if the rows were there that no output of the band sees. */
  readonly image: Address;
  readonly size: readonly [height: number, width: number, channels: number];
  readonly kernel: readonly [height: number, width: number];
  readonly stride: number;
  /** Zeros on every side of the image. */
  readonly padding: number;
  /** Whether the image goes through a ReLU first. */
  readonly inputRelu: boolean;
  /** Rows of the result: from `top` to `bottom`, of so many columns. */
  readonly top: number;
  readonly bottom: number;
  readonly columns: number;
}

/** The rows of the image with its padding on it that a band is made of. */
export function paddedRows({ kernel, stride, padding, size, top, bottom }: Band): { first: number; count: number; width: number } {
  return { first: top * stride, count: Math.max(0, (bottom - top - 1) * stride + kernel[0]), width: size[1] + 2 * padding };
}
