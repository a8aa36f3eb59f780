import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Dinov2Model } from '../../src/index.ts';
import { quantile } from '../measure.ts';
import { dinov2ToOnnx } from '../peers/onnx.ts';
import { VIT_SMALL } from './vitSmall.ts';

export interface Fresh {
  readonly engine: string;
  /** Milliseconds from the start of loading to the first result; median over the processes. */
  readonly first: number;
  /** Peak of resident memory; largest over the processes. */
  readonly peakMiB: number;
  /** Resident memory after the second run, and after the last. */
  readonly secondRunMiB: number;
  readonly lastRunMiB: number;
}

const PROCESS = fileURLToPath(new URL('./process.mjs', import.meta.url));

/**
 * Loading, first result and memory, each engine in processes of its own, in turn: ViT-S/14, from a float16 checkpoint and a float32 ONNX
 * file.
 */
export async function fresh({ processes, runs }: { processes: number; runs: number }): Promise<Fresh[]> {
  const folder = await mkdtemp(join(tmpdir(), 'dinov2-bench-'));
  try {
    const model = new Dinov2Model(VIT_SMALL, { seed: 1 });
    await model.save_pretrained(folder, { dtype: 'float16' });
    await writeFile(join(folder, 'model.onnx'), dinov2ToOnnx(Object.fromEntries(model.weights()), VIT_SMALL, { height: 224, width: 224 }));
    model.dispose();

    const results: Fresh[] = [];
    for (let i = 0; i < processes; i++) {
      for (const [engine, path] of [
        ['onnxruntime-web', join(folder, 'model.onnx')],
        ['dinov2-wasm', folder],
      ] as const) {
        const { stdout } = await promisify(execFile)(process.execPath, [PROCESS, engine, path, String(runs)]);
        results.push(JSON.parse(stdout));
      }
    }
    return ['onnxruntime-web', 'dinov2-wasm'].map((engine) => summary(results.filter((result) => result.engine === engine)));
  } finally {
    await rm(folder, { recursive: true });
  }
}

function summary(results: readonly Fresh[]): Fresh {
  const of = (key: 'first' | 'peakMiB' | 'secondRunMiB' | 'lastRunMiB', q: number): number =>
    quantile(
      results.map((result) => result[key]),
      q,
    );
  return {
    engine: results[0]?.engine ?? '',
    first: of('first', 0.5),
    peakMiB: of('peakMiB', 1),
    secondRunMiB: of('secondRunMiB', 0.5),
    lastRunMiB: of('lastRunMiB', 0.5),
  };
}
