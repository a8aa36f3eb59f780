import { isJpeg, jpegSegments, MARKER, startsWith } from './jpeg.ts';
import type { Pixels } from './pixels.ts';
import { isPng, pngChunks } from './png.ts';

/** TIFF tag 0x0112: which edges of the stored picture are the top and the left of the scene; 1 is upright. */
export type Orientation = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8;

/**
 * The orientation of a JPEG file (in its first Exif segment) or a PNG file (in its eXIf chunk); 1 where there is none that can be read.
 * @param source what the message names
 * @throws {ImageError} when the file is truncated
 */
export function readOrientation(bytes: Uint8Array, source = 'bytes'): Orientation {
  const tiff = isJpeg(bytes) ? exifOfJpeg(bytes, source) : isPng(bytes) ? exifOfPng(bytes, source) : undefined;
  return (tiff && orientationOfTiff(tiff)) || 1;
}

function exifOfJpeg(bytes: Uint8Array, source: string): Uint8Array | undefined {
  for (const { marker, data } of jpegSegments(bytes, source)) {
    if (marker === MARKER.APP1 && startsWith(data, 'Exif\0\0')) return data.subarray(6);
    if (marker === MARKER.SOS) return undefined;
  }
  return undefined;
}

function exifOfPng(bytes: Uint8Array, source: string): Uint8Array | undefined {
  for (const { type, data } of pngChunks(bytes, source)) if (type === 'eXIf') return data;
  return undefined;
}

const ORIENTATION = 0x0112;
const SHORT = 3;

/** The tag in the first directory of a TIFF structure (TIFF 6.0, section 2). */
function orientationOfTiff(tiff: Uint8Array): Orientation | undefined {
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.byteLength);
  const little = startsWith(tiff, 'II');
  if (tiff.length < 8 || !(little || startsWith(tiff, 'MM'))) return undefined;
  const directory = view.getUint32(4, little);
  if (directory + 2 > tiff.length) return undefined;
  const end = Math.min(directory + 2 + 12 * view.getUint16(directory, little), tiff.length);
  for (let entry = directory + 2; entry + 12 <= end; entry += 12) {
    if (view.getUint16(entry, little) === ORIENTATION && view.getUint16(entry + 2, little) === SHORT) {
      const value = view.getUint16(entry + 8, little);
      return value >= 1 && value <= 8 ? (value as Orientation) : undefined;
    }
  }
  return undefined;
}

/** The picture turned and mirrored so that it stands upright (Pillow, `ImageOps.exif_transpose`). The picture itself for orientation 1. */
export function applyOrientation(pixels: Pixels, orientation: Orientation): Pixels {
  if (orientation === 1) return pixels;
  const { width: w, height: h, channels } = pixels;
  const last = w * h - 1;
  // the pixel that comes to the upper left, and the steps to the ones that come right of it and below it
  const [start, right, down] = {
    2: [w - 1, -1, w],
    3: [last, -1, -w],
    4: [last - w + 1, 1, -w],
    5: [0, w, 1],
    6: [last - w + 1, -w, 1],
    7: [last, -w, -1],
    8: [w - 1, w, -1],
  }[orientation] as [number, number, number];
  const [width, height] = orientation < 5 ? [w, h] : [h, w];
  const data = new Uint8Array(pixels.data.length);
  let to = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = (start + x * right + y * down) * channels;
      for (let c = 0; c < channels; c++) data[to++] = pixels.data[from + c] as number;
    }
  }
  return { data, width, height, channels };
}
