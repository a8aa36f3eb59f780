import { basename } from 'node:path';
import { ArgumentError } from '../errors.ts';
import { writeFiles } from '../files/output.ts';
import { fileSystem } from '../files/source.ts';
import { AutoBackbone, AutoConfig, RawImage } from '../index.ts';
import { bytePicture, colorPicture, encodePng, sideBySide } from '../plot/index.ts';
import { patchAlignedSize, patchFeatures, patchGrid, pca } from '../tasks/index.ts';
import type { Float32 } from '../tensor/index.ts';
import { type BatchOptions, runBatch, type Setup } from './batch.ts';
import { FORMATS, firstValues, orHostError } from './results.ts';
import type { Terminal } from './terminal.ts';

export interface FeaturesOptions extends BatchOptions {
  /** How many blocks have worked on the features; negative numbers count from the last. Default -1: all blocks. */
  readonly layer?: number;
  /**
   * Pixels of the shorter edge to which the whole picture is scaled. Default: what the image processor makes of it, as a rule the middle.
   */
  readonly size?: number;
  /** A folder for pictures of the principal components. */
  readonly pca?: string;
}

/** `dinov2 features`: one vector a patch, after the final layer norm: (rows, columns, hidden) an image. See {@link runBatch}. */
export function extractFeatures(inputs: readonly string[], options: FeaturesOptions, terminal: Terminal): Promise<number> {
  const { size, exifOrientation } = options;
  return runBatch(inputs, options, terminal, {
    formats: FORMATS,
    async open(setup) {
      const pictures = options.pca === undefined ? undefined : picturePaths(options.pca, setup.images);
      const model = await backboneAt(options.layer ?? -1, setup);
      return {
        async run(path) {
          const image = await RawImage.read(path, { exifOrientation });
          const whole = size && {
            do_resize: true,
            size: patchAlignedSize(image, { shortestEdge: size, config: model.config }),
            do_center_crop: false,
          };
          const { pixel_values } = await setup.processor(image, { ...whole });
          const { feature_maps } = await model({ pixel_values }, { signal: setup.loading.signal });
          const [rows, columns] = patchGrid(model.config, pixel_values);
          const tensor = patchFeatures(feature_maps[0] as Float32, [rows, columns]).at(0); // (rows, columns, hidden)
          const picture = pictures?.get(path);
          if (picture) {
            const bytes = await setup.processor(image, { ...whole, do_rescale: false, do_normalize: false });
            await writePicture(picture, bytePicture(bytes.pixel_values.at(0)), tensor);
          }
          const text = `${path}  ${rows} x ${columns} patches of ${tensor.dims[2]}  ${firstValues(tensor)}`;
          return { image: path, tensor, fields: () => ({ features: tensor.tolist() }), text: picture ? `${text}  ${picture}` : text };
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

/** The file for the picture of each image. @throws {ArgumentError} when two images would have the same */
function picturePaths(folder: string, images: readonly string[]): ReadonlyMap<string, string> {
  const byPath = new Map<string, string>();
  for (const image of images) {
    const path = fileSystem().join(folder, `${basename(image)}.pca.png`);
    const other = byPath.get(path);
    if (other !== undefined)
      throw new ArgumentError(`pca: expected images of different names, found ${other} and ${image}: run them separately`);
    byPath.set(path, image);
  }
  return new Map(Array.from(byPath, ([path, image]) => [image, path]));
}

/** What the model saw, and beside it the principal components of features (rows, columns, hidden). */
async function writePicture(path: string, seen: RawImage, features: Float32): Promise<void> {
  const [colors] = pca([features]);
  const png = await encodePng(sideBySide([seen, await colorPicture(colors as Float32, seen)]));
  await orHostError(path, writeFiles([{ path, write: (writer) => writer.write(png) }]));
}
