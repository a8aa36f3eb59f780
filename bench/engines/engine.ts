import type { Dinov2Model } from '../../src/index.ts';

/** Short names of dtypes, and those of the library. */
export const DTYPES = { f32: 'float32', f16: 'float16', int8: 'int8' } as const;
export type Dtype = keyof typeof DTYPES;

/** How a model is to be run: one square picture of `size` pixels a side. */
export interface Job {
  readonly dtype: Dtype;
  /** The calling one included. */
  readonly threads: number;
  /** In pixels. */
  readonly size: number;
}

/** pixel_values (1, 3, size, size) to last_hidden_state (1, tokens, hidden), both row-major. */
export type Forward = (pixels: Float32Array<ArrayBuffer>) => Promise<Float32Array>;

/** Something that runs DINOv2: this library or a peer. */
export interface Engine {
  readonly name: string;
  /** What it can do on its CPU backend in Node; a job beyond is not tried. */
  readonly dtypes: readonly Dtype[];
  readonly maxThreads: number;
  /** Left out unless it is asked for by name. */
  readonly optional?: boolean;
  /**
   * Writes what {@link load} reads into a folder that is its own for this model, unless it is there; gives its path. In the process of the benchmark.
   */
  prepare(model: Dinov2Model, folder: string, job: Job): Promise<string>;
  /** In a process in which nothing else is loaded. */
  load(path: string, job: Job): Promise<Forward>;
}
