/** Integer products by their definitions: how rows and weights of integers lie in memory, number by number, and sums in exact arithmetic. */
import type { IntegerForm } from '../../src/runtime/features.ts';

type Numbers = ArrayLike<number>;

/** Numbers that share a scale, as in assembly/quantize/i8_form.ts. */
export const GROUP = 128;

export const groupsOf = (k: number): number => Math.ceil(k / GROUP);

/** x[i] ~ scale * (integers[i] - zero) for the integers of a group, 0 to 255. */
export interface Head {
  readonly scale: number;
  readonly zero: number;
}

export interface IntegerRow {
  /** One a group. */
  readonly heads: readonly Head[];
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
  /** What is to be taken off an integer in memory. */
  zero(head: Head): number;
  read(view: DataView, at: number): number;
  write(view: DataView, at: number, value: number): void;
}

/** As in assembly/quantize/i8_form.ts. */
export const LAYOUTS: Readonly<Record<IntegerForm, Layout>> = {
  pairs: {
    number: 0,
    rows: 4,
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

/** Bytes of the heads of rows: whole blocks. */
export function bytesOfHeads(form: IntegerForm, rows: number, columns: number): number {
  const { rows: block } = LAYOUTS[form];
  return Math.ceil(rows / block) * block * groupsOf(columns) * 8;
}

/** Where the head of a row and group is: [block][group][row]. */
function headOf(form: IntegerForm, columns: number, row: number, group: number): number {
  const { rows } = LAYOUTS[form];
  return 8 * (Math.floor(row / rows) * rows * groupsOf(columns) + group * rows + (row % rows));
}

/** Rows as they lie in memory; what pads them has any value. */
export function layRows(
  form: IntegerForm,
  rows: readonly IntegerRow[],
  columns: number,
  padding = 77,
): { heads: Uint8Array; integers: Uint8Array } {
  const integers = new Uint8Array(bytesOfRows(form, rows.length, columns)).fill(padding);
  const heads = new DataView(new Uint8Array(bytesOfHeads(form, rows.length, columns)).fill(padding).buffer);
  const layout = LAYOUTS[form];
  for (const [r, row] of rows.entries()) {
    for (const [g, head] of row.heads.entries()) {
      heads.setFloat32(headOf(form, columns, r, g), head.scale, true);
      heads.setInt32(headOf(form, columns, r, g) + 4, -layout.zero(head), true); // what is to be added
    }
    for (let i = 0; i < columns; i++) {
      const head = row.heads[Math.floor(i / GROUP)] as Head;
      const value = (row.integers[i] as number) - head.zero + layout.zero(head);
      layout.write(new DataView(integers.buffer), placeOf(form, columns, r, i), value);
    }
  }
  return { heads: new Uint8Array(heads.buffer), integers };
}

/** Groups of rows from memory: their scales, and the integers less their zero point. */
export function readRows(
  form: IntegerForm,
  count: number,
  columns: number,
  { heads, integers }: { heads: Uint8Array; integers: Uint8Array },
): { scale: number; zero: number; values: number[] }[][] {
  const head = new DataView(heads.buffer, heads.byteOffset);
  const view = new DataView(integers.buffer, integers.byteOffset);
  return Array.from({ length: count }, (_, row) =>
    Array.from({ length: groupsOf(columns) }, (_, group) => {
      const at = headOf(form, columns, row, group);
      const zero = 0 - head.getInt32(at + 4, true);
      const first = group * GROUP;
      const values = Array.from({ length: Math.min(GROUP, columns - first) }, (_, i) => {
        return LAYOUTS[form].read(view, placeOf(form, columns, row, first + i)) - zero;
      });
      return { scale: head.getFloat32(at, true), zero, values };
    }),
  );
}

/** Numbers of a row of k that follow one another and have one scale, `width` being of one place of an image, and one among the weights. */
export function runsOf(k: number, width = k): { first: number; count: number }[] {
  const ends = Array.from({ length: k }, (_, i) => i + 1).filter((end) => {
    const within = end % width;
    return end === k || end % GROUP === 0 || within === 0 || within % GROUP === 0;
  });
  return ends.map((end, i) => ({ first: ends[i - 1] ?? 0, count: end - (ends[i - 1] ?? 0) }));
}

/** Bytes of a panel of weights, as in assembly/gemm/i8_pack.ts. */
export function bytesOfPanel(k: number, width = k): number {
  return runsOf(k, width).reduce((sum, { count }) => sum + 64 + Math.ceil(count / 4) * 32, 32);
}

/** Weights (n, k), their scales (n, groups) and biases (n) in panels, as in assembly/gemm/i8_pack.ts. */
export function packIntegers(n: number, k: number, weight: Numbers, scales: Numbers, bias: Numbers | undefined, width = k): Uint8Array {
  const groups = groupsOf(k);
  const panelBytes = bytesOfPanel(k, width);
  const view = new DataView(new ArrayBuffer(Math.ceil(n / 8) * panelBytes));
  for (let j = 0; j < n; j++) {
    const panel = Math.floor(j / 8) * panelBytes;
    const column = j % 8;
    view.setFloat32(panel + column * 4, bias ? (bias[j] as number) : 0, true);
    let head = panel + 32;
    for (const { first, count } of runsOf(k, width)) {
      let sum = 0;
      for (let i = 0; i < count; i++) {
        const q = weight[j * k + first + i] as number;
        sum += q;
        view.setInt8(head + 64 + Math.floor(i / 4) * 32 + column * 4 + (i % 4), q);
      }
      view.setFloat32(head + column * 4, scales[j * groups + Math.floor(first / GROUP)] as number, true);
      view.setInt32(head + 32 + column * 4, sum, true);
      head += 64 + Math.ceil(count / 4) * 32;
    }
  }
  return new Uint8Array(view.buffer);
}

/** Bytes of a pixel of an image of integers, as in assembly/conv/i8_pad.ts: its heads, then its integers. */
export function bytesOfPixel(form: IntegerForm, channels: number): number {
  return groupsOf(channels) * 8 + Math.ceil(channels / 4) * 4 * LAYOUTS[form].bytes;
}

/** Pixels as they lie in memory, and the bytes behind them that are read; what pads them has any value. */
export function layPixels(form: IntegerForm, pixels: readonly IntegerRow[], channels: number, padding = 77): Uint8Array {
  const size = bytesOfPixel(form, channels);
  const layout = LAYOUTS[form];
  const view = new DataView(new Uint8Array(pixels.length * size + 8).fill(padding).buffer);
  for (const [p, { heads, integers }] of pixels.entries()) {
    for (const [g, head] of heads.entries()) {
      view.setFloat32(p * size + g * 8, head.scale, true);
      view.setInt32(p * size + g * 8 + 4, -layout.zero(head), true);
    }
    for (let i = 0; i < channels; i++) {
      const head = heads[Math.floor(i / GROUP)] as Head;
      layout.write(view, p * size + groupsOf(channels) * 8 + i * layout.bytes, (integers[i] as number) - head.zero + layout.zero(head));
    }
  }
  return new Uint8Array(view.buffer);
}

/** Groups of pixels from memory, as {@link readRows} gives them. */
export function readPixels(form: IntegerForm, count: number, channels: number, bytes: Uint8Array): ReturnType<typeof readRows> {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const [size, layout, groups] = [bytesOfPixel(form, channels), LAYOUTS[form], groupsOf(channels)];
  return Array.from({ length: count }, (_, p) =>
    Array.from({ length: groups }, (_, g) => {
      const zero = 0 - view.getInt32(p * size + g * 8 + 4, true);
      const at = (i: number): number => p * size + groups * 8 + (g * GROUP + i) * layout.bytes;
      const values = Array.from({ length: Math.min(GROUP, channels - g * GROUP) }, (_, i) => layout.read(view, at(i)) - zero);
      return { scale: view.getFloat32(p * size + g * 8, true), zero, values };
    }),
  );
}

/** The sums of (integer - zero) times weight over each group: rows (m, k), weight (n, k) -> (m, n, groups), exact. */
export function integerProducts(rows: readonly IntegerRow[], weight: Numbers, n: number, k: number): Float64Array {
  const groups = groupsOf(k);
  return Float64Array.from({ length: rows.length * n * groups }, (_, e) => {
    const { integers, heads } = rows[Math.floor(e / (n * groups))] as IntegerRow;
    const [column, group] = [Math.floor(e / groups) % n, e % groups];
    const { zero } = heads[group] as Head;
    let sum = 0;
    for (let i = group * GROUP; i < Math.min(k, (group + 1) * GROUP); i++) {
      sum += ((integers[i] as number) - zero) * (weight[column * k + i] as number);
    }
    return sum;
  });
}
