import type { Answer } from '../hosts/host.ts';
import { type SentError, sentError } from '../sentErrors.ts';
import { decodeOf } from './decoder.ts';
import { type FileInput, readBytes } from './input.ts';
import { isJpeg, jpegSegments, MARKER } from './jpeg.ts';
import { PixelGate } from './pixelGate.ts';
import { isPng } from './png.ts';
import type { ProcessorOutput } from './processing.ts';
import { processorOf } from './processor.ts';
import { RawImage, type ReadOptions } from './rawImage.ts';

/** What is wanted of a picture: its pixels, or with a processor (`to_dict`) what that makes of them. */
export interface Question {
  readonly input: Exclude<FileInput, URL>;
  readonly reading: Omit<ReadOptions, 'decode'>;
  /** URL of a module whose `decode` is used. */
  readonly decoder?: string | undefined;
  readonly processor?: Readonly<Record<string, unknown>> | undefined;
  /** Memory of the gate, and the number of this thread in it. */
  readonly gate: SharedArrayBuffer;
  readonly thread: number;
}

export type Pixels = Pick<RawImage, 'data' | 'width' | 'height' | 'channels'>;

/** A tensor as it can be sent. */
export type Processed = Omit<ProcessorOutput, 'pixel_values'> & {
  readonly pixel_values: { readonly data: Float32Array; readonly dims: readonly number[] };
};

/** In seconds. */
export interface ReadingTimes {
  readonly reading: number;
  readonly decoding: number;
}

export type Reply =
  | { readonly pixels: Pixels; readonly seconds: ReadingTimes }
  | { readonly processed: Processed; readonly seconds: ReadingTimes }
  | { readonly error: SentError };

/** Within a thread: reads a picture. What goes wrong is an answer too. */
export async function answerQuestion(question: unknown): Promise<Answer> {
  const { gate: memory, thread } = question as Question;
  const gate = new PixelGate(memory);
  try {
    return await respond(question as Question, gate);
  } catch (error) {
    return { value: { error: sentError(error as Error) } satisfies Reply, transfer: [] };
  } finally {
    gate.leave(thread);
  }
}

async function respond({ input, reading, decoder, processor, thread }: Question, gate: PixelGate): Promise<Answer> {
  const start = performance.now();
  const decode = decoder === undefined ? undefined : decodeOf(await import(decoder), decoder);
  const { bytes, source } = await readBytes(input, { limits: reading.limits });
  const begin = performance.now();
  gate.enter(thread, pixelsOf(bytes));
  const seconds = (): ReadingTimes => ({ reading: (begin - start) / 1000, decoding: (performance.now() - begin) / 1000 });
  const file = source === 'bytes' ? bytes : new File([bytes as Uint8Array<ArrayBuffer>], source); // messages name it
  if (!processor) {
    const { data, width, height, channels } = await RawImage.read(file, { ...reading, decode });
    const own = decode ? data.slice() : data; // memory of native code may not be handed over
    const value: Reply = { pixels: { data: own, width, height, channels }, seconds: seconds() };
    return { value, transfer: [own.buffer as ArrayBuffer] };
  }
  const { pixel_values, ...rest } = await processorOf(processor)(file, { ...reading, decode });
  const { data, dims } = pixel_values;
  const value: Reply = { processed: { pixel_values: { data, dims }, ...rest }, seconds: seconds() };
  return { value, transfer: [data.buffer as ArrayBuffer] };
}

/** As the header of a PNG or JPEG file has it; 0 for what is neither, or damaged, of which decoding will tell. */
function pixelsOf(bytes: Uint8Array): number {
  const viewOf = ({ buffer, byteOffset, length }: Uint8Array): DataView => new DataView(buffer, byteOffset, length);
  try {
    if (isPng(bytes)) return viewOf(bytes).getUint32(16) * viewOf(bytes).getUint32(20);
    if (!isJpeg(bytes)) return 0;
    for (const { marker, data } of jpegSegments(bytes, '')) {
      if (marker < MARKER.SOF0 || marker > MARKER.SOF2) continue;
      return viewOf(data).getUint16(1) * viewOf(data).getUint16(3);
    }
  } catch {}
  return 0;
}
