import { openCheckpoint } from '../checkpoint/shards.ts';
import { readOrientation } from '../image/exif.ts';
import { readBytes } from '../image/input.ts';
import { isJpeg } from '../image/jpeg.ts';
import { isPng } from '../image/png.ts';
import { AutoModel, type Dinov2Model, type RawImage } from '../index.ts';
import { patchGrid } from '../tasks/index.ts';
import { sizeOf } from '../tensor/tensor.ts';
import { type BatchOptions, runBatch, type Setup } from './batch.ts';
import type { Format } from './results.ts';
import type { Terminal } from './terminal.ts';

export const INSPECT_FORMATS: readonly Format[] = ['json', 'jsonl'];

/** `dinov2 inspect`: what each file is, what the image processor makes of it, and what the model is. See {@link runBatch}. */
export function inspectImages(inputs: readonly string[], options: BatchOptions, terminal: Terminal): Promise<number> {
  return runBatch(inputs, options, terminal, {
    formats: INSPECT_FORMATS,
    async open(setup) {
      const model = await AutoModel.from_pretrained(setup.source, setup.loading);
      const description = await describeModel(model, setup);
      let heading = `${textOfModel(description)}\n`;
      return {
        ahead: setup.reader.wholeAhead,
        prepare: (image) => setup.reader.read(image, { signal: setup.loading.signal }),
        async run(image, pixels: RawImage) {
          const { bytes } = await readBytes(image, { limits: options.limit });
          const orientation = readOrientation(bytes, image);
          const isTurned = options.exifOrientation === true && orientation >= 5;
          const [width, height] = isTurned ? [pixels.height, pixels.width] : pixels.size;
          const { pixel_values } = await setup.processor(pixels);
          const file: FileDescription = {
            bytes: bytes.length,
            format: isPng(bytes) ? 'PNG' : isJpeg(bytes) ? 'JPEG' : 'other',
            width,
            height,
            orientation,
            pixel_values: pixel_values.dims,
            grid: patchGrid(model.config, pixel_values),
          };
          const text = `${heading}${image}\n${textOfFile(file)}`;
          heading = '';
          return { image, fields: () => ({ ...file, model: description }), text };
        },
        dispose: () => model.dispose(),
      };
    },
  });
}

interface FileDescription {
  readonly bytes: number;
  /** `other`: what a decoder of one's own reads. */
  readonly format: 'PNG' | 'JPEG' | 'other';
  /** Pixels, as stored. */
  readonly width: number;
  readonly height: number;
  /** EXIF: 1 is upright. */
  readonly orientation: number;
  /** (batch, channels, height, width) */
  readonly pixel_values: readonly number[];
  /** Patches, [rows, columns]. */
  readonly grid: readonly number[];
}

interface ModelDescription {
  readonly type: string;
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  /** Pixels, [height, width]. */
  readonly patch: readonly number[];
  /** Of the classifier; 0 without one. */
  readonly labels: number;
  /** Numbers in the checkpoint, those of a classifier included. */
  readonly parameters: number;
  /** What kinds of numbers these are. */
  readonly dtypes: readonly string[];
  /** Bytes of them. */
  readonly stored: number;
  /** Bytes of the engine, with all weights but those of a classifier. */
  readonly memory: number;
  /** Of the kernels. */
  readonly build: string;
}

async function describeModel(model: Dinov2Model, { source }: Setup): Promise<ModelDescription> {
  const checkpoint = await openCheckpoint(source);
  await checkpoint.close();
  const tensors = [...checkpoint.entries];
  const { config, memory, build } = model;
  return {
    type: config.model_type,
    layers: config.num_hidden_layers,
    width: config.hidden_size,
    heads: config.num_attention_heads,
    patch: config.patchSize,
    labels: tensors.some(([name]) => name === 'classifier.weight') ? config.num_labels : 0,
    parameters: tensors.reduce((sum, [, { dims }]) => sum + sizeOf(dims), 0),
    dtypes: [...new Set(tensors.map(([, { dtype }]) => dtype))],
    stored: tensors.flatMap(([, { extents }]) => extents).reduce((sum, { bytes }) => sum + bytes, 0),
    memory,
    build,
  };
}

function textOfModel({ type, layers, width, heads, patch, labels, parameters, dtypes, stored, memory, build }: ModelDescription): string {
  return [
    'model',
    `  ${type}: ${layers} layers of width ${width} with ${heads} heads, patches of ${patch.join(' x ')} pixels`,
    `  ${labels > 0 ? `classifier with ${labels} labels` : 'no classifier'}`,
    `  ${(parameters / 1e6).toFixed(2)} million parameters: ${megabytes(stored)} of ${dtypes.join(', ')} in the file, ${megabytes(memory)} in memory`,
    `  kernels: ${build}`,
  ].join('\n');
}

function textOfFile({ format, width, height, bytes, orientation, pixel_values, grid }: FileDescription): string {
  return [
    `  ${format}, ${width} x ${height} pixels, ${bytes} bytes, EXIF orientation ${orientation}${orientation === 1 ? ' (upright)' : ''}`,
    `  pixel_values [${pixel_values.join(', ')}]: ${grid.join(' x ')} patches`,
  ].join('\n');
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
