import { pipeline, RawImage } from '../index.ts';
import { encodePng, segmentationPicture } from '../plot/index.ts';
import { segmentsOf } from '../tasks/index.ts';
import { type BatchOptions, runBatch } from './batch.ts';
import { picturePaths, writePicture } from './pictures.ts';
import { FORMATS } from './results.ts';
import type { Terminal } from './terminal.ts';

export interface SegmentOptions extends BatchOptions {
  /** The file of a head of facebookresearch/dinov2, where the model is an encoder. */
  readonly head?: string;
  /** A folder for pictures, IMAGE.segments.png. */
  readonly pictures?: string;
  /** Sizes at which the image is seen, whose results are averaged. Default 1. */
  readonly scales?: readonly number[];
  /** Whether mirror images are averaged in. */
  readonly flip?: boolean;
}

/** `dinov2 segment`: the number of the label of each pixel, (height, width) an image. See {@link runBatch}. */
export function segmentImages(inputs: readonly string[], options: SegmentOptions, terminal: Terminal): Promise<number> {
  const { exifOrientation, head, scales = [1], flip = false } = options;
  return runBatch(inputs, options, terminal, {
    formats: FORMATS,
    async open({ source, loading, images }) {
      const pictures = options.pictures && picturePaths(options.pictures, images, { option: 'pictures', ending: '.segments.png' });
      const segmenter = await pipeline('image-segmentation', source, { ...loading, ...(head !== undefined && { head }) });
      return {
        async run(path) {
          const image = await RawImage.read(path, { exifOrientation, limits: options.limit });
          const segmentation = await segmenter.segment(image, { scales, flip, signal: loading.signal });
          const segments = segmentsOf(segmentation, segmenter.model.config.id2label);
          const picture = pictures ? pictures.get(path) : undefined;
          if (picture) await writePicture(picture, await encodePng(segmentationPicture(image.rgb(), segmentation, { segments })));
          const lines = [...segments]
            .sort((a, b) => b.part - a.part)
            .map(({ part, label }) => `  ${(part < 0.0005 ? '<0.1' : (part * 100).toFixed(1)).padStart(5)} %  ${label}`);
          const fields = { height: image.height, width: image.width, segments, ...(picture && { picture }) };
          const text = [picture ? `${path}  ${picture}` : path, ...lines].join('\n');
          return { image: path, tensor: segmentation.to('float32'), fields: () => fields, text };
        },
        dispose: () => segmenter.model.dispose(),
      };
    },
  });
}
