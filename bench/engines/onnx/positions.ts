/** Patches that the rule `offset` adds to each side before it takes the scale. */
const OFFSET = 0.1;

/** Coefficient of the cubic of Keys (1981) that PyTorch uses without antialiasing. */
const A = -0.75;

export interface PositionOptions {
  /** Width of an embedding. */
  readonly hidden: number;
  /** Of the image, in pixels. */
  readonly height: number;
  readonly width: number;
  /** In pixels. */
  readonly patchSize: readonly [height: number, width: number];
}

/**
 * Position embeddings for an image of another size by the rule `offset` of transformers v4.37.2 and facebookresearch/dinov2
 * (`interpolate_pos_encoding`): bicubic with the scale (patches + 0.1) / learnt on each side. The class token's is kept, and all where the
 * image is square with as many patches. In float64.
 * @param table (1 + learnt * learnt, hidden), learnt being the side of the grid of the checkpoint
 * @returns (1 + rows * columns, hidden)
 */
export function interpolatePositions(table: Float32Array, { hidden, height, width, patchSize }: PositionOptions): Float32Array {
  const learnt = Math.sqrt(table.length / hidden - 1);
  const rows = Math.floor(height / patchSize[0]);
  const columns = Math.floor(width / patchSize[1]);
  if (height === width && rows * columns === learnt * learnt) return table;
  const result = new Float32Array((1 + rows * columns) * hidden);
  result.set(table.subarray(0, hidden));
  const down = taps(rows, learnt);
  const across = taps(columns, learnt);
  for (let token = 0; token < rows * columns; token++) {
    const sum = new Float64Array(hidden);
    for (const vertical of down[Math.floor(token / columns)]) {
      for (const horizontal of across[token % columns]) {
        const source = table.subarray((1 + vertical.index * learnt + horizontal.index) * hidden);
        const weight = vertical.weight * horizontal.weight;
        for (let c = 0; c < hidden; c++) sum[c] += weight * source[c];
      }
    }
    result.set(sum, (1 + token) * hidden);
  }
  return result;
}

interface Tap {
  readonly index: number;
  readonly weight: number;
}

/** The four taps of each of `count` outputs; those beyond the border fall on it. */
function taps(count: number, learnt: number): Tap[][] {
  return Array.from({ length: count }, (_, i) => {
    const source = ((i + 0.5) * learnt) / (count + OFFSET) - 0.5;
    const first = Math.floor(source) - 1;
    return [first, first + 1, first + 2, first + 3].map((index) => ({
      index: Math.min(Math.max(index, 0), learnt - 1),
      weight: cubic(Math.abs(source - index)),
    }));
  });
}

function cubic(x: number): number {
  if (x <= 1) return ((A + 2) * x - (A + 3)) * x * x + 1;
  if (x < 2) return ((A * x - 5 * A) * x + 8 * A) * x - 4 * A;
  return 0;
}
