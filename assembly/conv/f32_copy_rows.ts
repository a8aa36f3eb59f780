/**
 * f32_copy_rows(rows, columns, x, ldx, y, ldy): y = x, rows of `columns` numbers that are ldx and ldy elements apart; ldx 0 repeats one
 * row.
 */
export function f32_copy_rows(rows: i32, columns: i32, x: usize, ldx: i32, y: usize, ldy: i32): void {
  const bytes = <usize>columns << 2;
  for (let row = 0; row < rows; row++, x += <usize>ldx << 2, y += <usize>ldy << 2) memory.copy(y, x, bytes);
}
