import { type Float32, Tensor } from '../tensor/index.ts';

/** Sweeps after which the Jacobi method ends; it converges quadratically, in less than ten. */
const MAX_SWEEPS = 30;

/**
 * Eigenvalues, largest first, and eigenvectors, one a row, of a small symmetric matrix (n, n), by the cyclic Jacobi method in float64
 * (Golub and Van Loan, "Matrix Computations", 8.5).
 */
export function symmetricEigen(matrix: Float32): { values: number[]; vectors: Float32 } {
  const n = matrix.dims[0] as number;
  const a = matrix.tolist() as number[][];
  const vectors = a.map((_, i) => a.map((_, j) => Number(i === j)));
  const at = (i: number, j: number): number => a[i]?.[j] as number;
  for (let sweep = 0; sweep < MAX_SWEEPS; sweep++) {
    let changed = false;
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        if (Math.abs(at(p, q)) <= Number.EPSILON * Math.sqrt(Math.abs(at(p, p) * at(q, q)))) continue;
        changed = true;
        const cotangent = (at(q, q) - at(p, p)) / (2 * at(p, q)); // of twice the angle
        const t = (cotangent < 0 ? -1 : 1) / (Math.abs(cotangent) + Math.hypot(cotangent, 1));
        const c = 1 / Math.hypot(t, 1);
        rotate(a[p] as number[], a[q] as number[], c, c * t);
        for (const row of a) [row[p], row[q]] = rotated(row[p] as number, row[q] as number, c, c * t);
        rotate(vectors[p] as number[], vectors[q] as number[], c, c * t);
      }
    }
    if (!changed) break;
  }
  const order = a.map((_, i) => i).sort((i, j) => at(j, j) - at(i, i));
  return {
    values: order.map((i) => at(i, i)),
    vectors: new Tensor(
      'float32',
      order.flatMap((i) => vectors[i] as number[]),
      [n, n],
    ),
  };
}

/**
 * The rows (count, width) made orthogonal to each other and of length 1, by Gram-Schmidt in float64, twice; zeros where a row depends on
 * those before it.
 */
export function orthonormalRows(rows: Float32): Float32 {
  const done: Float64Array[] = [];
  for (let i = 0; i < (rows.dims[0] as number); i++) {
    const row = Float64Array.from(rows.at(i).data);
    const length = Math.sqrt(dot(row, row));
    for (const other of [...done, ...done]) {
      const part = dot(row, other);
      for (let j = 0; j < row.length; j++) row[j] = (row[j] as number) - part * (other[j] as number);
    }
    const rest = Math.sqrt(dot(row, row));
    const scale = rest > Number.EPSILON * length ? 1 / rest : 0;
    done.push(row.map((x) => x * scale));
  }
  return new Tensor(
    'float32',
    done.flatMap((row) => Array.from(row)),
    rows.dims,
  );
}

function dot(a: Float64Array, b: Float64Array): number {
  return a.reduce((sum, x, i) => sum + x * (b[i] as number), 0);
}

function rotate(x: number[], y: number[], c: number, s: number): void {
  for (let i = 0; i < x.length; i++) [x[i], y[i]] = rotated(x[i] as number, y[i] as number, c, s) as [number, number];
}

function rotated(x: number, y: number, c: number, s: number): [number, number] {
  return [c * x - s * y, s * x + c * y];
}
