import { deflateSync } from 'node:zlib';
import { ADAM7, pngFile, SAMPLES } from '../reference/png.ts';
import { type Dice, join, mutate, noise, oneOf, pick } from './mutate.ts';

/** Bit depths by colour type. */
const DEPTHS: Readonly<Record<number, readonly number[]>> = { 0: [1, 2, 4, 8, 16], 2: [8, 16], 3: [1, 2, 4, 8], 4: [8, 16], 6: [8, 16] };
const OTHERS = ['tRNS', 'gAMA', 'eXIf', 'tEXt', 'bKGD', 'PLTE', 'IDAT', 'IEND', 'IHDR', 'abcd', 'ABCD', '\0\0\0\0'];

type Chunk = [type: string, data: Uint8Array];

/**
 * A PNG file from its inside: rows with all filters, of any colour type, depth, interlacing and compression, that are damaged before they
 * are compressed, or the stream that holds them after that, or the header, or the order of chunks; or nothing is. All checksums hold.
 */
export function makePng(roll: Dice): Uint8Array<ArrayBuffer> {
  const colorType = pick(roll, [0, 2, 3, 4, 6]);
  const bitDepth = pick(roll, DEPTHS[colorType] as readonly number[]);
  const [width, height] = [1 + roll(12), 1 + roll(12)];
  const interlaced = oneOf(roll, 3);
  let rows: Uint8Array = join(...passes(width, height, interlaced).flatMap((columns) => row(columns, colorType, bitDepth, roll)));
  if (oneOf(roll, 4)) rows = mutate(rows, roll);
  let packed: Uint8Array = deflateSync(rows, { level: pick(roll, [0, 1, 6, 9]), strategy: roll(5) });
  if (oneOf(roll, 6)) packed = mutate(packed, roll);
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([bitDepth, colorType, 0, 0, interlaced ? 1 : 0], 8);
  const colors = oneOf(roll, 8) ? roll(300) : 2 ** Math.min(bitDepth, 8);
  const palette: Chunk[] = colorType === 3 && !oneOf(roll, 20) ? [['PLTE', noise(colors * 3, roll)]] : [];
  const chunks: Chunk[] = [
    ['IHDR', oneOf(roll, 8) ? mutate(header, roll) : header],
    ...palette,
    ...split(packed, roll),
    ['IEND', noise(0, roll)],
  ];
  if (oneOf(roll, 4)) chunks.splice(roll(chunks.length + 1), 0, [pick(roll, OTHERS), noise(roll(40), roll)]);
  if (oneOf(roll, 8)) chunks.splice(roll(chunks.length), 1);
  if (oneOf(roll, 8)) chunks.splice(roll(chunks.length + 1), 0, chunks[roll(chunks.length)] as Chunk);
  return pngFile(chunks);
}

/** Of each row, how many pixels it has. */
function passes(width: number, height: number, interlaced: boolean): number[] {
  return (interlaced ? ADAM7 : ([[0, 0, 1, 1]] as const)).flatMap(([x, y, dx, dy]) => {
    const [columns, rows] = [Math.ceil((width - x) / dx), Math.ceil((height - y) / dy)];
    return columns > 0 && rows > 0 ? Array<number>(rows).fill(columns) : [];
  });
}

/** A filter, now and then one that there is not, and samples. */
function row(columns: number, colorType: number, bitDepth: number, roll: Dice): Uint8Array[] {
  const bytes = Math.ceil((columns * (SAMPLES[colorType] as number) * bitDepth) / 8);
  return [Uint8Array.of(oneOf(roll, 100) ? roll(256) : roll(5)), noise(bytes, roll)];
}

function split(packed: Uint8Array, roll: Dice): Chunk[] {
  if (!oneOf(roll, 3)) return [['IDAT', packed]];
  const middle = roll(packed.length + 1);
  return [
    ['IDAT', packed.subarray(0, middle)],
    ['IDAT', packed.subarray(middle)],
  ];
}
