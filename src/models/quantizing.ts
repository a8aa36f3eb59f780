import { type ModelSource, openSource } from '../files/source.ts';
import type { DPTImageProcessor } from '../image/dptProcessor.ts';
import { PROCESSOR_FILE } from '../image/processing.ts';
import type { BitImageProcessor } from '../image/processor.ts';
import { AutoImageProcessor } from '../image/processor.ts';
import type { EngineOptions } from '../runtime/engine.ts';
import { checkEmpty, targetOf } from './converting.ts';
import type { LoadOptions } from './loading.ts';
import type { ModelInputs } from './pretrained.ts';
import { processorFor } from './processors.ts';

export interface QuantizeOptions extends Pick<LoadOptions, 'progress_callback' | 'signal'>, Pick<EngineOptions, 'threads' | 'memoryLimit'> {
  /** pixel_values of a few photographs of the kind that the model will see. Without them the weights alone decide. */
  calibration?: AsyncIterable<ModelInputs> | Iterable<ModelInputs>;
  /** Whether files that are there already may be replaced. Default false. */
  overwrite?: boolean;
}

/**
 * Writes a model with weights of 8 bits into a folder: config.json, model.safetensors (`src/checkpoint/quantized.ts` says how the weights stand in
 * it) and preprocessor_config.json. It loads without the original.
 * @returns the class that loads it
 * @throws as {@link convertCheckpoint}; {MemoryError} when the model does not fit into memory as a whole
 */
export async function quantizeCheckpoint(source: ModelSource, folder: string, options: QuantizeOptions = {}): Promise<string> {
  const { calibration, overwrite = false, ...loading } = options;
  if (!overwrite) await checkEmpty(folder);
  const files = await openSource(source);
  const { Class } = await targetOf(files, undefined, {});
  let seen: Awaited<ReturnType<InstanceType<typeof Class>['calibrate']>> | undefined;
  if (calibration) {
    using model = await Class.from_pretrained(files, loading);
    seen = await model.calibrate(calibration, loading.signal ? { signal: loading.signal } : {});
  }
  using model = await Class.from_pretrained(files, { ...loading, dtype: 'int8', ...(seen && { calibration: seen }) });
  const hasOwn = await files.has(PROCESSOR_FILE);
  const processor = hasOwn
    ? await AutoImageProcessor.from_pretrained<BitImageProcessor | DPTImageProcessor>(files)
    : processorFor(model.config);
  await model.save_pretrained(folder, { processor });
  return Class.name;
}
