import { ArgumentError } from '../errors.ts';
import { AutoBackbone, AutoConfig, RawImage } from '../index.ts';
import { patchAlignedSize, patchFeatures, patchGrid } from '../tasks/index.ts';
import type { Float32 } from '../tensor/index.ts';
import { type BatchOptions, runBatch, type Setup } from './batch.ts';
import { FORMATS, firstValues } from './results.ts';
import type { Terminal } from './terminal.ts';

export interface FeaturesOptions extends BatchOptions {
  /** How many blocks have worked on the features; negative numbers count from the last. Default -1: all blocks. */
  readonly layer?: number;
  /**
   * Pixels of the shorter edge to which the whole picture is scaled. Default: what the image processor makes of it, as a rule the middle.
   */
  readonly size?: number;
}

/** `dinov2 features`: one vector a patch, after the final layer norm: (rows, columns, hidden) an image. See {@link runBatch}. */
export function extractFeatures(inputs: readonly string[], options: FeaturesOptions, terminal: Terminal): Promise<number> {
  const { size, exifOrientation } = options;
  return runBatch(inputs, options, terminal, {
    formats: FORMATS,
    async open(setup) {
      const model = await backboneAt(options.layer ?? -1, setup);
      return {
        async run(path) {
          const image = await RawImage.read(path, { exifOrientation, limits: options.limit });
          const whole = size && {
            do_resize: true,
            size: patchAlignedSize(image, { shortestEdge: size, config: model.config }),
            do_center_crop: false,
          };
          const { pixel_values } = await setup.processor(image, { ...whole });
          const { feature_maps } = await model({ pixel_values }, { signal: setup.loading.signal });
          const [rows, columns] = patchGrid(model.config, pixel_values);
          const tensor = patchFeatures(feature_maps[0] as Float32, [rows, columns]).at(0); // (rows, columns, hidden)
          const text = `${path}  ${rows} x ${columns} patches of ${tensor.dims[2]}  ${firstValues(tensor)}`;
          return { image: path, tensor, fields: () => ({ features: tensor.tolist() }), text };
        },
        dispose: () => model.dispose(),
      };
    },
  });
}

async function backboneAt(layer: number, { source, loading }: Setup): Promise<Awaited<ReturnType<typeof AutoBackbone.from_pretrained>>> {
  const { num_hidden_layers: layers } = await AutoConfig.from_pretrained(source);
  if (layer < -layers || layer > layers) throw new ArgumentError(`layer: expected an integer from -${layers} to ${layers}, found ${layer}`);
  return AutoBackbone.from_pretrained(source, {
    ...loading,
    config: { out_indices: [layer], reshape_hidden_states: false, apply_layernorm: true },
  });
}
