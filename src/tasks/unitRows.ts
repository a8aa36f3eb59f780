import type { Float32 } from '../tensor/index.ts';

/** Rows (n, width) of length 1; those of length 0 stay. */
export function unitRows(rows: Float32): Float32 {
  const unit = rows.clone();
  const [n = 0, width = 0] = rows.dims;
  const { data } = unit;
  for (let i = 0; i < n; i++) {
    const row = data.subarray(i * width, (i + 1) * width);
    let square = 0;
    for (let j = 0; j < width; j++) square += (row[j] as number) ** 2;
    const length = Math.sqrt(square) || 1;
    for (let j = 0; j < width; j++) row[j] = (row[j] as number) / length;
  }
  return unit;
}
