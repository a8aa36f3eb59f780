import { GROUP } from './int8Layout.ts';

/** H H is this times the identity: of so many numbers one becomes a sum. */
export const ROTATED = 32;

/**
 * Multiplies each whole group of 128 numbers of rows with H, in place, as `f32_rotate` does to the bit (`assembly/quantize/f32_rotate.ts`): x . w =
 * (H x) . (H w) / 32. What is left of a row stays as it is.
 */
export function rotate<Data extends Float32Array>(data: Data, columns: number): Data {
  for (let row = 0; row < data.length; row += columns) {
    for (let group = row; group + GROUP <= row + columns; group += GROUP) rotateGroup(data, group);
  }
  return data;
}

/** The covariance (inputs, 128), as of InputStatistics, of rotated inputs: H C H of each whole group. */
export function rotateCovariance(covariance: Float32Array): Float32Array {
  const rotated = covariance.slice();
  for (let first = 0; first + GROUP * GROUP <= rotated.length; first += GROUP * GROUP) {
    const block = rotated.subarray(first, first + GROUP * GROUP);
    rotate(block, GROUP);
    const turned = block.slice();
    for (let i = 0; i < GROUP; i++) for (let j = 0; j < GROUP; j++) block[i * GROUP + j] = turned[j * GROUP + i] as number;
    rotate(block, GROUP);
  }
  return rotated;
}

function rotateGroup(data: Float32Array, first: number): void {
  rotateFours(data, first, GROUP / 4);
  for (let run = first; run < first + GROUP; run += 32) {
    for (let i = run; i < run + 16; i++) {
      const [a, b] = [data[i] as number, data[i + 16] as number];
      data[i] = a + b;
      data[i + 16] = a - b;
    }
  }
  rotateFours(data, first, 4);
}

/** Numbers of a group that are so far apart, four by four, by R. */
function rotateFours(data: Float32Array, first: number, apart: number): void {
  for (let run = first; run < first + GROUP; run += 4 * apart) {
    for (let i = run; i < run + apart; i++) {
      const [a, b, c, d] = [data[i], data[i + apart], data[i + 2 * apart], data[i + 3 * apart]] as [number, number, number, number];
      const [far, near] = [Math.fround(a + c), Math.fround(b - d)];
      const [farOff, nearOff] = [Math.fround(a - c), Math.fround(b + d)];
      data[i] = far + near;
      data[i + apart] = far - near;
      data[i + 2 * apart] = farOff + nearOff;
      data[i + 3 * apart] = nearOff - farOff;
    }
  }
}
