import { readdirSync, readFileSync } from 'node:fs';
import { host } from '#host';
import { openSafetensors } from '../../src/checkpoint/safetensors.ts';
import { decodeImage } from '../../src/image/decode.ts';
import type { Pixels } from '../../src/image/pixels.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { golden, goldenPath } from '../helpers.ts';

export const PICTURES: readonly string[] = readdirSync(goldenPath('image/images')).sort();

export const picturePath = (name: string): string => goldenPath(`image/images/${name}`);
export const picture = (name: string): Uint8Array<ArrayBuffer> => golden(`image/images/${name}`);
export const decoded = (name: string): Promise<Pixels> => decodeImage(picture(name), { source: name });

/** Sizes of the pictures, and where Pillow decodes them to the same bytes, the hash of these. */
export const INFO = JSON.parse(readFileSync(goldenPath('image/images.json'), 'utf8')) as Record<
  string,
  { width: number; height: number; sha256?: string }
>;

export async function tensors(file: string): Promise<Map<string, Tensor>> {
  const checkpoint = await openSafetensors(await (host.files as NonNullable<typeof host.files>).open(goldenPath(`image/${file}`)));
  const found = new Map<string, Tensor>();
  for (const name of checkpoint.entries.keys()) found.set(name, await checkpoint.read(name));
  await checkpoint.close();
  return found;
}

/** Largest and mean absolute difference. */
export function difference(a: ArrayLike<number>, b: ArrayLike<number>): { max: number; mean: number } {
  if (a.length !== b.length) return { max: Number.NaN, mean: Number.NaN };
  let max = 0;
  let sum = 0;
  for (let i = 0; i < a.length; i++) {
    const d = Math.abs((a[i] as number) - (b[i] as number));
    max = d > max || Number.isNaN(d) ? d : max;
    sum += d;
  }
  return { max, mean: sum / a.length };
}

/** Numbers from 0 to 1 that are the same in every run (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function randomPixels(width: number, height: number, channels: number, seed: number): Pixels {
  const random = randomNumbers(seed);
  return { data: Uint8Array.from({ length: width * height * channels }, () => random() * 256), width, height, channels };
}
