import fc from 'fast-check';

/** An image that has its padding on it, and the kernel of a convolution that fits it. */
export interface Window {
  height: number;
  width: number;
  channels: number;
  kernelHeight: number;
  kernelWidth: number;
  stride: number;
}

/** Images and kernels of any size that fit one another, narrower than a block of outputs and wider. */
export function windows(channels: fc.Arbitrary<number>): fc.Arbitrary<Window> {
  return fc
    .record({
      height: fc.integer({ min: 1, max: 7 }),
      width: fc.integer({ min: 1, max: 15 }),
      channels,
      kernelHeight: fc.integer({ min: 1, max: 4 }),
      kernelWidth: fc.integer({ min: 1, max: 4 }),
      stride: fc.integer({ min: 1, max: 3 }),
    })
    .filter((w) => w.height >= w.kernelHeight && w.width >= w.kernelWidth);
}

export function outputsOf({ height, width, kernelHeight, kernelWidth, stride }: Window): [rows: number, columns: number] {
  return [Math.floor((height - kernelHeight) / stride) + 1, Math.floor((width - kernelWidth) / stride) + 1];
}

/** Which pixels an output sees, in the order of the weights. */
export function pixelsUnder(w: Window, output: number): number[] {
  const [, columns] = outputsOf(w);
  const first = Math.floor(output / columns) * w.stride * w.width + (output % columns) * w.stride;
  return Array.from(
    { length: w.kernelHeight * w.kernelWidth },
    (_, tap) => first + Math.floor(tap / w.kernelWidth) * w.width + (tap % w.kernelWidth),
  );
}

/** Sizes in the order in which the kernels take them. */
export function sizesOf(
  w: Window,
): [channels: number, kernelHeight: number, kernelWidth: number, stride: number, width: number, outWidth: number] {
  return [w.channels, w.kernelHeight, w.kernelWidth, w.stride, w.width, outputsOf(w)[1]];
}
