import type { KernelBuild } from '../../../src/hosts/host.ts';
import { Engine, type EngineOptions } from '../../../src/runtime/engine.ts';
import { hasRelaxedSimd } from '../../../src/runtime/features.ts';
import { createMatrix } from '../../../src/tensor/matrix/createMatrix.ts';
import { type PackedMatrix, WEIGHT_DTYPES, type WeightDType } from '../../../src/tensor/matrix/packedMatrix.ts';
import { type Float32, placed } from '../../../src/tensor/place.ts';
import { randomTensor } from '../helpers.ts';

/** Those that this host runs. */
export const BUILDS: readonly KernelBuild[] = hasRelaxedSimd() ? ['simd', 'relaxed'] : ['simd'];

/** Every kind of number on every build. */
export const KINDS: readonly { build: KernelBuild; dtype: WeightDType }[] = BUILDS.flatMap((build) =>
  WEIGHT_DTYPES.map((dtype) => ({ build, dtype })),
);

export interface Packed {
  readonly engine: Engine;
  readonly matrix: PackedMatrix;
  readonly weight: Float32;
  readonly bias: Float32;
}

/** A matrix of random weights on an engine. */
export function packed(engine: Engine, dtype: WeightDType, outputs: number, inputs: number): Packed {
  const matrix = createMatrix(engine, dtype, outputs, inputs);
  const [weight, bias] = [randomTensor([outputs, inputs], 1), randomTensor([outputs], 2)];
  matrix.pack(weight, bias);
  return { engine, matrix, weight, bias };
}

/** What a computation on tensors in the memory of an engine gives, in memory of its own. */
export function on(engine: Engine, tensors: readonly Float32[], compute: (...placed: Float32[]) => Float32): Float32 {
  return engine.scope(() => compute(...tensors.map((tensor) => placed(engine, tensor))).clone());
}

/** Runs `body` on an engine, which is disposed of then. */
export async function withEngine<T>(options: EngineOptions, body: (engine: Engine) => T | Promise<T>): Promise<T> {
  const engine = new Engine(options);
  try {
    return await body(engine);
  } finally {
    engine.dispose();
  }
}
