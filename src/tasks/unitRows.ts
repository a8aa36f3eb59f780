import type { Float32 } from '../tensor/index.ts';

/** Rows (n, width) of length 1; those of length 0 stay. */
export function unitRows(rows: Float32): Float32 {
  const unit = rows.clone();
  const { data } = unit;
  const width = rows.dims[1] as number;
  for (const [i, length] of rowLengths(data, width).entries()) {
    for (let at = i * width; at < (i + 1) * width; at++) data[at] = (data[at] as number) / length;
  }
  return unit;
}

/** What rows (n, width) are to be divided by to be of length 1: their lengths, 1 for those of length 0; no finite number where theirs are not. */
export function rowLengths(data: Float32Array, width: number): Float64Array {
  const lengths = new Float64Array(data.length / width);
  for (let i = 0, at = 0; i < lengths.length; i++) {
    let square = 0;
    for (const end = at + width; at < end; at++) square += (data[at] as number) ** 2;
    lengths[i] = square === 0 ? 1 : Math.sqrt(square);
  }
  return lengths;
}
