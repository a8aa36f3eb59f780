import { loadTail, storeTail } from '../simd';

/** `columns` (1 to 8) sums of an output to c, or added to it. */
// @ts-ignore: decorator
@inline
export function putSums(columns: i32, c: usize, x0: v128, x1: v128, adds: bool): void {
  if (columns == 8) {
    if (adds) {
      x0 = f32x4.add(v128.load(c), x0);
      x1 = f32x4.add(v128.load(c, 16), x1);
    }
    v128.store(c, x0);
    v128.store(c, x1, 16);
  } else putFew(columns, c, x0, x1, adds);
}

function putFew(columns: i32, c: usize, x0: v128, x1: v128, adds: bool): void {
  if (columns >= 4) {
    v128.store(c, adds ? f32x4.add(v128.load(c), x0) : x0);
    if (columns == 4) return;
    x0 = x1;
    c += 16;
  }
  const tail = columns & 3;
  storeTail(c, adds ? f32x4.add(loadTail(c, tail), x0) : x0, tail);
}
