import type { Pixels } from '../../src/image/pixels.ts';
import type { Resampling } from '../../src/image/resize.ts';

const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

/** Half the width of each filter, and its height at a distance. */
const FILTERS: Record<Exclude<Resampling, 'nearest'>, [number, (x: number) => number]> = {
  box: [0.5, (x) => (x > -0.5 && x <= 0.5 ? 1 : 0)],
  bilinear: [1, (x) => Math.max(0, 1 - Math.abs(x))],
  hamming: [1, (x) => (Math.abs(x) < 1 ? sinc(x) * (0.54 + 0.46 * Math.cos(Math.PI * x)) : 0)],
  bicubic: [2, (x) => cubic(Math.abs(x))],
  lanczos: [3, (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0)],
};

function cubic(x: number): number {
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
}

/** Pillow's resize with one filter, pixel by pixel, as its source says it. */
export function resample(pixels: Pixels, width: number, height: number, name: Exclude<Resampling, 'nearest'>): Pixels {
  const horizontal = (p: Pixels): Pixels => transpose(resampleRows(transpose(p), width, name));
  const vertical = (p: Pixels): Pixels => resampleRows(p, height, name);
  if (pixels.height > 100 * pixels.width && height < pixels.height) return horizontal(vertical(pixels));
  return vertical(horizontal(pixels));
}

function resampleRows(pixels: Pixels, height: number, name: Exclude<Resampling, 'nearest'>): Pixels {
  if (height === pixels.height) return pixels;
  const [support, weight] = FILTERS[name];
  const row = pixels.width * pixels.channels;
  const data = new Uint8Array(row * height);
  const scale = pixels.height / height;
  const stretch = Math.max(scale, 1);
  for (let y = 0; y < height; y++) {
    const center = (y + 0.5) * scale;
    const lowest = Math.max(0, Math.trunc(center - support * stretch + 0.5));
    const highest = Math.min(pixels.height, Math.trunc(center + support * stretch + 0.5));
    const weights: number[] = [];
    for (let i = lowest; i < highest; i++) weights.push(weight((i - center + 0.5) * (1 / stretch)));
    const sum = weights.reduce((a, b) => a + b, 0);
    const fixed = weights.map((w) => Math.trunc((w / sum) * 2 ** 22 + (w / sum < 0 ? -0.5 : 0.5)));
    for (let x = 0; x < row; x++) {
      const total = fixed.reduce((a, k, i) => a + k * (pixels.data[(lowest + i) * row + x] as number), 2 ** 21);
      data[y * row + x] = Math.min(255, Math.max(0, Math.floor(total / 2 ** 22)));
    }
  }
  return { ...pixels, data, height };
}

function transpose({ data, width, height, channels }: Pixels): Pixels {
  const turned = data.slice();
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < channels; c++) turned[(x * height + y) * channels + c] = data[(y * width + x) * channels + c] as number;
    }
  }
  return { data: turned, width: height, height: width, channels };
}
