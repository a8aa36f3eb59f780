/**
 * The packed form of a right-hand matrix of k rows and n columns, as f32_gemm reads it: panels of 8 columns, ceil(n / 8) of them, each
 * 8 biases, then k times 8 values (one row of the panel). Columns beyond n are 0. Size: ceil(n / 8) * (k + 1) * 32 bytes.
 */

/**
 * f32_pack(n, k, source, stride, bias, target): from a matrix given by columns: column j of the right-hand side is the row of k numbers at
 * source + j * stride (in elements). That is how nn.Linear keeps its weight (out features, in features), and what attention wants of its
 * keys. bias: n numbers, or 0 for none.
 */
export function f32_pack(n: i32, k: i32, source: usize, stride: i32, bias: usize, target: usize): void {
  const row = <usize>stride << 2;
  for (let j = 0; j < n; j += 8) {
    const columns = min(8, n - j);
    target = packBias(columns, bias ? bias + (<usize>j << 2) : 0, target);
    const from = source + <usize>j * row;
    let i = 0;
    if (columns == 8) {
      for (; i + 4 <= k; i += 4, target += 128) {
        transpose4(from + (<usize>i << 2), row, target);
        transpose4(from + (<usize>i << 2) + 4 * row, row, target + 16);
      }
    }
    for (; i < k; i++, target += 32) {
      zeroRow(target);
      for (let column = 0; column < columns; column++) {
        store<f32>(target + (<usize>column << 2), load<f32>(from + <usize>column * row + (<usize>i << 2)));
      }
    }
  }
}

/**
 * f32_pack_rows(n, k, source, stride, target): from a matrix given by rows: row i is the n numbers at source + i * stride (in elements). No
 * bias.
 */
export function f32_pack_rows(n: i32, k: i32, source: usize, stride: i32, target: usize): void {
  const row = <usize>stride << 2;
  for (let j = 0; j < n; j += 8) {
    const columns = min(8, n - j);
    target = packBias(columns, 0, target);
    let from = source + (<usize>j << 2);
    for (let i = 0; i < k; i++, target += 32, from += row) {
      if (columns == 8) {
        v128.store(target, v128.load(from));
        v128.store(target, v128.load(from, 16), 16);
      } else {
        zeroRow(target);
        for (let column = 0; column < columns; column++) {
          store<f32>(target + (<usize>column << 2), load<f32>(from + (<usize>column << 2)));
        }
      }
    }
  }
}

/** f32_unpack(n, k, source, target, bias): the inverse of f32_pack, target (n, k) row-major, bias n numbers or 0. */
export function f32_unpack(n: i32, k: i32, source: usize, target: usize, bias: usize): void {
  const panel = (<usize>k + 1) << 5;
  for (let j = 0; j < n; j++) {
    let from = source + <usize>(j >> 3) * panel + (<usize>(j & 7) << 2);
    if (bias) store<f32>(bias + (<usize>j << 2), load<f32>(from));
    for (let i = 0; i < k; i++, target += 4) {
      from += 32;
      store<f32>(target, load<f32>(from));
    }
  }
}

// @ts-ignore: decorator
@inline
function zeroRow(target: usize): void {
  v128.store(target, f32x4.splat(0));
  v128.store(target, f32x4.splat(0), 16);
}

// @ts-ignore: decorator
@inline
function packBias(columns: i32, bias: usize, target: usize): usize {
  zeroRow(target);
  if (bias) {
    for (let column = 0; column < columns; column++) store<f32>(target + (<usize>column << 2), load<f32>(bias + (<usize>column << 2)));
  }
  return target + 32;
}

/** Four rows of four become four columns, 8 numbers apart. */
// @ts-ignore: decorator
@inline
function transpose4(from: usize, row: usize, target: usize): void {
  const a = v128.load(from);
  const b = v128.load(from + row);
  const c = v128.load(from + 2 * row);
  const d = v128.load(from + 3 * row);
  const ab = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
  const cd = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
  const ef = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
  const gh = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
  v128.store(target, v128.shuffle<f32>(ab, cd, 0, 1, 4, 5));
  v128.store(target, v128.shuffle<f32>(ab, cd, 2, 3, 6, 7), 32);
  v128.store(target, v128.shuffle<f32>(ef, gh, 0, 1, 4, 5), 64);
  v128.store(target, v128.shuffle<f32>(ef, gh, 2, 3, 6, 7), 96);
}
