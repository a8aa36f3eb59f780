/** How the operands of integer products lie in memory: as in `assembly/quantize/i8_form.ts` and `assembly/gemm/i8_pack.ts`. */
import { PANEL } from '../../runtime/kernels.ts';

/** Numbers that follow one another and share a scale. */
export const GROUP = 128;

export function groupsOf(numbers: number): number {
  return Math.ceil(numbers / GROUP);
}

/** Of inputs: its number, the rows of a block, the bytes of an integer. */
export const FORMS = {
  pairs: { number: 0, rows: 4, bytes: 2 },
  unsigned: { number: 1, rows: 6, bytes: 1 },
  signed: { number: 2, rows: 6, bytes: 1 },
} as const;

export type Form = (typeof FORMS)[keyof typeof FORMS];

/** Bytes of the scales and zero points of a row. */
export function headBytes(columns: number): number {
  return groupsOf(columns) * 8;
}

/** Bytes of a row of integers of so many bytes. */
export function rowBytes(columns: number, bytes: number): number {
  return Math.ceil(columns / 4) * 4 * bytes;
}

/** Bytes of the biases of a panel of weights, and of the scales and sums of each of its groups. */
const BIAS_BYTES = PANEL * 4;
const HEAD_BYTES = PANEL * 8;

/** Bytes of a panel of weights for so many inputs, `width` of which are of one place of a convolution's kernel. */
export function panelBytes(inputs: number, width = inputs): number {
  return runsOf(inputs, width).reduce((sum, run) => sum + HEAD_BYTES + Math.ceil(run / 4) * PANEL * 4, BIAS_BYTES);
}

/** How many inputs that follow one another have one scale and whose weights have one too: as `runOf` in `assembly/quantize/i8_form.ts`. */
function runsOf(inputs: number, width: number): number[] {
  const runs: number[] = [];
  for (let i = 0; i < inputs; i += runs.at(-1) as number) {
    runs.push(Math.min(width - (i % width), GROUP - ((i % width) % GROUP), GROUP - (i % GROUP)));
  }
  return runs;
}

/** Bytes of a pixel of an image of integers, as in `assembly/conv/i8_pad.ts`. */
export function pixelBytes(channels: number, bytes: number): number {
  return headBytes(channels) + rowBytes(channels, bytes);
}

/** Bytes of the sums of a block of rows, as in `assembly/gemm/i8_gemm.ts`. */
const SUMS_BYTES = 192;

/** Bytes that a product needs for itself where at most so many panels are widened at a time. */
export function productBytes(form: Form, inputs: number, panels: number, width = inputs): number {
  return SUMS_BYTES + (form === FORMS.pairs ? panels * widenedBytes(inputs, width) : 0);
}

/** Bytes of a panel of weights whose integers are widened. */
export function widenedBytes(inputs: number, width = inputs): number {
  return runsOf(inputs, width).reduce((sum, run) => sum + Math.ceil(run / 4) * 64, 0);
}
