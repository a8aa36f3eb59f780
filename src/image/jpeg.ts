import { ImageError } from '../errors.ts';

export function isJpeg(bytes: Uint8Array): boolean {
  return bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff;
}

/** The second byte of markers (ITU-T T.81, table B.1). */
export const MARKER = {
  SOF0: 0xc0,
  SOF1: 0xc1,
  SOF2: 0xc2,
  DHT: 0xc4,
  JPG: 0xc8,
  DAC: 0xcc,
  EOI: 0xd9,
  SOS: 0xda,
  DQT: 0xdb,
  DRI: 0xdd,
  APP0: 0xe0,
  APP1: 0xe1,
  APP14: 0xee,
  APP15: 0xef,
  COM: 0xfe,
} as const;

export interface JpegSegment {
  readonly marker: number;
  /** All of the segment: marker, length, data, and after the data of SOS the entropy-coded part. */
  readonly bytes: Uint8Array;
  readonly data: Uint8Array;
}

/**
 * The segments of a JPEG file up to EOI, or to the end of the file where EOI is missing; what comes after is no part of the picture.
 * Like libjpeg, skips bytes between segments that are no marker.
 * @throws {ImageError} when the file ends inside of a segment
 */
export function* jpegSegments(bytes: Uint8Array, source: string): Generator<JpegSegment> {
  for (let start = nextMarker(bytes, 2); start < bytes.length; ) {
    const marker = bytes[start + 1] as number;
    if (marker === MARKER.EOI) {
      yield { marker, bytes: bytes.subarray(start, start + 2), data: bytes.subarray(start + 2, start + 2) };
      return;
    }
    const length = Math.max(2, ((bytes[start + 2] ?? 0) << 8) | (bytes[start + 3] ?? 0));
    const end = start + 2 + length;
    if (end > bytes.length) {
      throw new ImageError(`${source}: expected a JPEG segment up to byte ${end}, found the end at ${bytes.length}: the file is truncated`);
    }
    const next = nextMarker(bytes, end);
    yield { marker, bytes: bytes.subarray(start, marker === MARKER.SOS ? next : end), data: bytes.subarray(start + 4, end) };
    start = next;
  }
}

/** The first place from `start` on with a marker that begins a segment, or the end. */
function nextMarker(bytes: Uint8Array, start: number): number {
  for (let i = bytes.indexOf(0xff, start); i !== -1 && i + 1 < bytes.length; i = bytes.indexOf(0xff, i + 1)) {
    const code = bytes[i + 1] as number;
    const isRestart = code >= 0xd0 && code <= 0xd7;
    if (code > 1 && code !== 0xff && !isRestart) return i; // 0: a stuffed byte, 1: reserved, ff: a fill byte
  }
  return bytes.length;
}

export interface JpegComponent {
  readonly id: number;
  /** Sampling factors, 1 to 4; 1 of a component that is alone, where they have no meaning. */
  readonly h: number;
  readonly v: number;
  /** The number of its quantization table. */
  readonly table: number;
}

export interface JpegHeader {
  readonly width: number;
  readonly height: number;
  /** 1 grey, 3 colour, 4 CMYK. */
  readonly components: readonly JpegComponent[];
  readonly isProgressive: boolean;
  /** Whether the components are YCbCr or YCCK, and not RGB or CMYK. */
  readonly isYcc: boolean;
  /** Blocks of 8 by 8 samples in all components: at least, for what a size that is no multiple of 8 adds is left out. */
  readonly blocks: number;
  /** The same with all that is stored: whole units of the component with most samples. */
  readonly storedBlocks: number;
}

/** Scans above this number are the work of an attacker: encoders write about ten, each costs a pass over the picture. */
const MAX_SCANS = 100;

/**
 * What the segments say about the picture.
 * @throws {ImageError} naming what is missing, damaged, or of a kind that is not decoded: arithmetic, lossless, hierarchical, 12 bits
 */
export function readJpegHeader(segments: readonly JpegSegment[], source: string): JpegHeader {
  const frames = segments.filter(isFrame);
  const [frame] = frames;
  if (!frame || frames.length > 1) throw new ImageError(`${source}: expected a JPEG file with one frame header, found ${frames.length}`);
  if (frame.marker > MARKER.SOF2) {
    const found = `frame type ${frame.marker - MARKER.SOF0}`;
    throw new ImageError(`${source}: expected a baseline or progressive JPEG file with Huffman coding, found ${found}: convert it`);
  }
  const { data } = frame;
  const [precision, , , , , count = 0] = data;
  if (data.length < 6 + 3 * count || precision !== 8 || ![1, 3, 4].includes(count)) {
    throw new ImageError(
      `${source}: expected a JPEG frame of 8 bits and 1, 3 or 4 components, found ${precision} bits and ${count} components`,
    );
  }
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const height = view.getUint16(1);
  const width = view.getUint16(3);
  const stated = Array.from({ length: count }, (_, i) => {
    const [id, sampling, table] = data.subarray(6 + 3 * i) as unknown as [number, number, number];
    return { id, h: sampling >> 4, v: sampling & 15, table };
  });
  if (!stated.every(({ h, v }) => h >= 1 && h <= 4 && v >= 1 && v <= 4)) {
    throw new ImageError(`${source}: expected JPEG sampling factors of 1 to 4, found ${stated.map(({ h, v }) => `${h}x${v}`)}`);
  }
  const components = count === 1 ? stated.map((alone) => ({ ...alone, h: 1, v: 1 })) : stated;
  const ids = components.map(({ id }) => id);
  if (new Set(ids).size < count) throw new ImageError(`${source}: expected JPEG components of different numbers, found ${ids}`); // one would have no scan
  const isProgressive = frame.marker === MARKER.SOF2;
  checkScans(segments, ids, isProgressive, source);
  const maxH = Math.max(...components.map(({ h }) => h));
  const maxV = Math.max(...components.map(({ v }) => v));
  const blocksOfUnit = components.reduce((sum, { h, v }) => sum + h * v, 0);
  const units = Math.ceil(width / 8 / maxH) * Math.ceil(height / 8 / maxV);
  return {
    width,
    height,
    components,
    isProgressive,
    isYcc: isYcc(segments, components),
    blocks: Math.floor(((width * height) / 64) * (blocksOfUnit / (maxH * maxV))),
    storedBlocks: units * blocksOfUnit,
  };
}

/** T.81 B.2.2: all of C0 to CF but three. */
function isFrame({ marker }: JpegSegment): boolean {
  return marker >= MARKER.SOF0 && marker <= 0xcf && marker !== MARKER.DHT && marker !== MARKER.JPG && marker !== MARKER.DAC;
}

/**
 * A file that lost its end must not become a picture that is grey in part. The decoder notices when the last scan is short; that a scan is
 * missing shows in a component without one or, as the scans of progressive files refine each other, in a missing EOI.
 */
function checkScans(segments: readonly JpegSegment[], ids: readonly number[], progressive: boolean, source: string): void {
  const scans = segments.filter(({ marker }) => marker === MARKER.SOS).map(({ data }) => data);
  if (scans.length > MAX_SCANS) throw new ImageError(`${source}: expected at most ${MAX_SCANS} JPEG scans, found ${scans.length}`);
  const found = new Set<number>();
  for (const [count, ...scan] of scans as Iterable<[number, ...number[]]>) {
    const firstCoefficient = scan[2 * count];
    if (firstCoefficient === 0) for (let i = 0; i < count; i++) found.add(scan[2 * i] as number);
  }
  const ended = segments.at(-1)?.marker === MARKER.EOI;
  if (!ids.every((id) => found.has(id)) || (progressive && !ended)) {
    throw new ImageError(
      `${source}: expected the JPEG scans of ${ids.length} components and an end, found ${scans.length} scans: the file is truncated`,
    );
  }
}

/** As libjpeg guesses the colour space (jdapimin.c, `default_decompress_parms`). */
function isYcc(segments: readonly JpegSegment[], components: readonly { id: number }[]): boolean {
  const adobe = segments.find(({ marker, data }) => marker === MARKER.APP14 && startsWith(data, 'Adobe') && data.length >= 12);
  const transform = adobe?.data[11];
  if (components.length === 4) return transform !== undefined && transform !== 0;
  if (components.length === 1 || segments.some(({ marker, data }) => marker === MARKER.APP0 && startsWith(data, 'JFIF\0'))) return true;
  if (transform !== undefined) return transform !== 0;
  return String.fromCharCode(...components.map(({ id }) => id)) !== 'RGB';
}

/** Whether the data of a segment begins with this ASCII text. */
export function startsWith(data: Uint8Array, text: string): boolean {
  return Array.from(text).every((c, i) => data[i] === c.charCodeAt(0));
}
