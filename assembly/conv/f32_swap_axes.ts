/**
 * f32_swap_axes(outer, rows, columns, run, x, y): y (outer, columns, rows, run) = x (outer, rows, columns, run) with the two axes in the
 * middle exchanged. The pixel shuffle behind a transposed convolution, and the orders of convolution weights.
 */
export function f32_swap_axes(outer: i32, rows: i32, columns: i32, run: i32, x: usize, y: usize): void {
  const bytes = <usize>run << 2;
  const step = <usize>columns * bytes;
  for (let o = 0; o < outer; o++, x += <usize>rows * step) {
    for (let column = 0; column < columns; column++) {
      let from = x + <usize>column * bytes;
      for (let row = 0; row < rows; row++, from += step, y += bytes) {
        if (run == 1) store<f32>(y, load<f32>(from)); // a call of memory.copy costs more than a number
        else memory.copy(y, from, bytes);
      }
    }
  }
}
