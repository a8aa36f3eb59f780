/** Integer products by their definitions: how rows and weights of integers lie in memory, number by number, and sums in exact arithmetic. */
import type { IntegerForm } from '../../src/runtime/features.ts';

type Numbers = ArrayLike<number>;

/** A row of x: x[i] ~ scale * (integers[i] - zero), integers 0 to 255. */
export interface IntegerRow {
  readonly scale: number;
  readonly zero: number;
  readonly integers: readonly number[];
}

interface Layout {
  /** Of the form, as the kernels call it. */
  readonly number: number;
  /** Of a block. */
  readonly rows: number;
  /** Columns of a row that stand beside one another. */
  readonly step: number;
  readonly bytes: number;
  /** What the zero point is less by, and what is in memory. */
  zero(row: IntegerRow): number;
  read(view: DataView, at: number): number;
  write(view: DataView, at: number, value: number): void;
}

/** As in assembly/quantize/i8_form.ts. */
export const LAYOUTS: Readonly<Record<IntegerForm, Layout>> = {
  pairs: {
    number: 0,
    rows: 5,
    step: 2,
    bytes: 2,
    zero: () => 0,
    read: (view, at) => view.getInt16(at, true),
    write: (view, at, value) => view.setInt16(at, value, true),
  },
  unsigned: {
    number: 1,
    rows: 6,
    step: 4,
    bytes: 1,
    zero: ({ zero }) => zero,
    read: (view, at) => view.getUint8(at),
    write: (view, at, value) => view.setUint8(at, value),
  },
  signed: {
    number: 2,
    rows: 6,
    step: 4,
    bytes: 1,
    zero: ({ zero }) => zero - 128,
    read: (view, at) => view.getInt8(at),
    write: (view, at, value) => view.setInt8(at, value),
  },
};

/** Bytes of rows of integers in memory: whole blocks, columns padded to a multiple of 4. */
export function bytesOfRows(form: IntegerForm, rows: number, columns: number): number {
  const layout = LAYOUTS[form];
  return Math.ceil(rows / layout.rows) * layout.rows * Math.ceil(columns / 4) * 4 * layout.bytes;
}

/** Where the integer of a row and column is: [block][column / step][row][column % step]. */
function placeOf(form: IntegerForm, columns: number, row: number, column: number): number {
  const { rows, step, bytes } = LAYOUTS[form];
  const padded = Math.ceil(columns / 4) * 4;
  const block = Math.floor(row / rows) * rows * padded;
  return bytes * (block + Math.floor(column / step) * rows * step + (row % rows) * step + (column % step));
}

/** Rows as they lie in memory; what pads them has any value. */
export function layRows(
  form: IntegerForm,
  rows: readonly IntegerRow[],
  columns: number,
  padding = 77,
): { heads: Uint8Array; integers: Uint8Array } {
  const integers = new Uint8Array(bytesOfRows(form, rows.length, columns)).fill(padding);
  const heads = new DataView(new ArrayBuffer(8 * rows.length));
  const layout = LAYOUTS[form];
  for (const [r, row] of rows.entries()) {
    heads.setFloat32(8 * r, row.scale, true);
    heads.setInt32(8 * r + 4, layout.zero(row), true);
    for (let i = 0; i < columns; i++) {
      const value = (row.integers[i] as number) - row.zero + layout.zero(row);
      layout.write(new DataView(integers.buffer), placeOf(form, columns, r, i), value);
    }
  }
  return { heads: new Uint8Array(heads.buffer), integers };
}

/** Rows from memory: their scales, and the integers less their zero point. */
export function readRows(
  form: IntegerForm,
  count: number,
  columns: number,
  { heads, integers }: { heads: Uint8Array; integers: Uint8Array },
): { scale: number; zero: number; values: number[] }[] {
  const head = new DataView(heads.buffer, heads.byteOffset);
  const view = new DataView(integers.buffer, integers.byteOffset);
  return Array.from({ length: count }, (_, row) => {
    const zero = head.getInt32(8 * row + 4, true);
    const values = Array.from({ length: columns }, (_, i) => LAYOUTS[form].read(view, placeOf(form, columns, row, i)) - zero);
    return { scale: head.getFloat32(8 * row, true), zero, values };
  });
}

/** Weights (n, k) and their scales and biases (n) in panels, as in assembly/gemm/i8_pack.ts. */
export function packIntegers(n: number, k: number, weight: Numbers, scales: Numbers, bias: Numbers | undefined): Uint8Array {
  const panelBytes = 96 + Math.ceil(k / 4) * 32;
  const view = new DataView(new ArrayBuffer(Math.ceil(n / 8) * panelBytes));
  for (let j = 0; j < n; j++) {
    const panel = Math.floor(j / 8) * panelBytes;
    const column = j % 8;
    let sum = 0;
    for (let i = 0; i < k; i++) {
      const q = weight[j * k + i] as number;
      sum += q;
      view.setInt8(panel + 96 + Math.floor(i / 4) * 32 + column * 4 + (i % 4), q);
    }
    view.setFloat32(panel + column * 4, scales[j] as number, true);
    view.setFloat32(panel + 32 + column * 4, bias ? (bias[j] as number) : 0, true);
    view.setInt32(panel + 64 + column * 4, sum, true);
  }
  return new Uint8Array(view.buffer);
}

/** The sums of (integer - zero) times weight: rows (m, k), weight (n, k) -> (m, n), exact. */
export function integerProduct(rows: readonly IntegerRow[], weight: Numbers, n: number, k: number): Float64Array {
  return Float64Array.from({ length: rows.length * n }, (_, e) => {
    const { integers, zero } = rows[Math.floor(e / n)] as IntegerRow;
    let sum = 0;
    for (let i = 0; i < k; i++) sum += ((integers[i] as number) - zero) * (weight[(e % n) * k + i] as number);
    return sum;
  });
}
