import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { run } from '../../src/cli/program.ts';
import type { Stream, Terminal } from '../../src/cli/terminal.ts';

import { BitImageProcessor, Dinov2ForImageClassification, Dinov2Model, DPTImageProcessor } from '../../src/index.ts';
import { goldenPath, withFolder } from '../helpers.ts';

import { randomPixels } from '../image/helpers.ts';
import { encodePng } from '../reference/png.ts';

/** A stream that keeps what is written to it; from the write on that `fail` gives an error for, it fails. */
export class Recorder extends Writable {
  text = '';
  readonly isTTY: boolean;
  readonly #fail: (writes: number) => Error | undefined;
  #writes = 0;

  constructor({ isTTY = false, fail = () => undefined }: { isTTY?: boolean; fail?: (writes: number) => Error | undefined } = {}) {
    super({ decodeStrings: false });
    this.isTTY = isTTY;
    this.#fail = fail;
    this.on('error', () => {});
  }

  override _write(chunk: string, _: BufferEncoding, done: (error?: Error) => void): void {
    this.#writes += 1;
    const error = this.#fail(this.#writes);
    if (!error) this.text += chunk;
    done(error);
  }
}

export function errno(code: string): Error {
  return Object.assign(new Error(`${code}: refused by a test`), { code });
}

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `dinov2` with these arguments, in this process. */
export async function dinov2(
  args: readonly string[],
  { stdout = new Recorder(), stderr = new Recorder(), signal = new AbortController().signal }: Partial<Terminal> = {},
): Promise<Outcome> {
  const code = await run(args, { stdout, stderr, signal });
  const textOf = (stream: Stream): string => (stream instanceof Recorder ? stream.text : '');
  return { code, stdout: textOf(stdout), stderr: textOf(stderr) };
}

export interface Workplace {
  readonly folder: string;
  /** That of {@link tinyModel}. */
  readonly model: string;
  /** Writes a picture and gives its path. */
  picture(name: string, size?: { width: number; height: number }): string;
  /** Gives the path of a file that is not there. */
  path(name: string): string;
}

/** Makes the folder of a random model, so small that it runs in milliseconds: patches of 4, pictures of 12, width 8, 3 labels. */
export async function tinyModel(folder: string): Promise<string> {
  const random = new Dinov2ForImageClassification({
    hidden_size: 8,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    image_size: 12,
    patch_size: 4,
    initializer_range: 0.5,
    id2label: { 0: 'red', 1: 'green', 2: 'blue' },
  });
  await random.save_pretrained(folder);
  random.dispose();
  await new BitImageProcessor({ size: 12, crop_size: 12 }).save_pretrained(folder);
  return folder;
}

/** A folder for a test, gone after it. */
export async function withWorkplace(body: (place: Workplace) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    const model = await tinyModel(join(folder, 'model'));
    const path = (name: string): string => join(folder, name);
    let seed = 0;
    const picture: Workplace['picture'] = (name, { width, height } = { width: 16, height: 12 }) => {
      seed += 1;
      const { data: samples } = randomPixels(width, height, 3, seed);
      writeFileSync(path(name), encodePng({ width, height, bitDepth: 8, colorType: 2, samples }));
      return path(name);
    };
    await body({ folder, model, picture, path });
  });
}

/** A folder with a small model of depth. */
export async function depthModel(folder: string, kind: 'relative' | 'metric' = 'metric'): Promise<string> {
  mkdirSync(folder, { recursive: true });
  for (const name of ['config.json', 'model.safetensors']) copyFileSync(goldenPath(`depth-anything-${kind}/${name}`), `${folder}/${name}`);
  await new DPTImageProcessor({ size: { height: 42, width: 42 }, keep_aspect_ratio: true, ensure_multiple_of: 14 }).save_pretrained(folder);
  return folder;
}

/** A folder with the encoder that the heads of facebookresearch/dinov2 among the goldens go with. */
export async function encoderFolder(folder: string): Promise<string> {
  const encoder = await Dinov2Model.from_pretrained(goldenPath('fb-backbone/model.pth'), { config: { num_attention_heads: 4 } });
  await encoder.save_pretrained(folder);
  encoder.dispose();
  await new BitImageProcessor({ size: 56, crop_size: 56 }).save_pretrained(folder);
  return folder;
}

/** A .npy file of float32, as numpy.load reads it. */
export function readNpy(bytes: Uint8Array): { dims: number[]; data: Float32Array } {
  const length = (bytes[8] as number) + 256 * (bytes[9] as number);
  const header = new TextDecoder().decode(bytes.subarray(10, 10 + length));
  const [, shape = ''] = /'descr': '<f4', 'fortran_order': False, 'shape': \(([\d, ]*)\)/.exec(header) ?? [];
  const dims = shape.split(',').flatMap((d) => (d.trim() ? [Number(d)] : []));
  return { dims, data: new Float32Array(Uint8Array.from(bytes.subarray(10 + length)).buffer) };
}
