import { pipeline, type RawImage } from '../index.ts';
import { type ColormapName, depthPicture, depthPng, encodePng } from '../plot/index.ts';
import { type DepthKind, depthKind, rangeOf } from '../tasks/index.ts';
import type { Float32 } from '../tensor/index.ts';
import { type BatchOptions, runBatch } from './batch.ts';
import { picturePaths, writePicture } from './pictures.ts';
import { FORMATS } from './results.ts';
import type { Terminal } from './terminal.ts';

export interface DepthOptions extends BatchOptions {
  /** The file of a head of facebookresearch/dinov2, where the model is an encoder. */
  readonly head?: string;
  /** A folder for coloured pictures, IMAGE.depth.png. */
  readonly pictures?: string;
  /** Their colours, from far to near. Default inferno. */
  readonly colormap?: ColormapName;
  /** A folder for grey pictures of 16 bits, IMAGE.depth16.png. */
  readonly png16?: string;
}

/** `dinov2 depth`: the depth of each pixel, (height, width) an image. See {@link runBatch}. */
export function estimateDepth(inputs: readonly string[], options: DepthOptions, terminal: Terminal): Promise<number> {
  const { head, colormap = 'inferno' } = options;
  return runBatch(inputs, options, terminal, {
    formats: FORMATS,
    async open({ source, loading, images, reader }) {
      const paths = (folder: string | undefined, option: string, ending: string): ReadonlyMap<string, string> =>
        folder === undefined ? new Map() : picturePaths(folder, images, { option, ending });
      const pictures = paths(options.pictures, 'pictures', '.depth.png');
      const grays = paths(options.png16, 'png16', '.depth16.png');
      const estimate = await pipeline('depth-estimation', source, { ...loading, ...(head !== undefined && { head }) });
      const kind = depthKind(estimate.model.config);
      return {
        ahead: reader.wholeAhead,
        prepare: (image) => reader.read(image, { signal: loading.signal }),
        async run(image, photo: RawImage) {
          const { predicted_depth: depth } = await estimate(photo, { signal: loading.signal });
          const [height, width] = depth.dims as [number, number];
          const { low, high } = rangeOf(depth.data);
          const picture = pictures.get(image);
          if (picture) await writePicture(picture, await encodePng(depthPicture(depth, { kind, colormap })));
          const gray = grays.get(image);
          const png16 = gray ? { path: gray, ...(await writeGray(gray, depth, kind)) } : undefined;
          const range =
            kind === 'metric' ? `${low.toFixed(2)} to ${high.toFixed(2)} m` : `relative, ${low.toFixed(2)} far to ${high.toFixed(2)} near`;
          const fields = { kind, height, width, lowest: low, highest: high, ...(picture && { picture }), ...(png16 && { png16 }) };
          const text = [image, `${height} x ${width}`, range, ...(picture ? [picture] : []), ...(gray ? [gray] : [])].join('  ');
          return { image, tensor: depth, fields: () => fields, text };
        },
        dispose: () => estimate.model.dispose(),
      };
    },
  });
}

/** Writes depth as a picture of 16 bits. @returns how its numbers are those of depth: depth = offset + step * pixel */
async function writeGray(path: string, depth: Float32, kind: DepthKind): Promise<{ offset: number; step: number }> {
  const { bytes, offset, step } = await depthPng(depth, { kind });
  await writePicture(path, bytes);
  return { offset, step };
}
