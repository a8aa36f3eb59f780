import { type Dice, join, mutate, noise, oneOf, pick } from './mutate.ts';

/** Symbols of a Huffman code, shortest first, with their codes as text of bits. */
type Code = readonly (readonly [symbol: number, bits: string])[];

interface Component {
  readonly id: number;
  readonly h: number;
  readonly v: number;
}

interface Scan {
  readonly components: readonly Component[];
  /** Which coefficients: of a progressive picture a part. */
  readonly from: number;
  readonly to: number;
  readonly high: number;
  readonly low: number;
}

/**
 * A JPEG file from its inside: quantisation tables, a frame of 1, 3 or 4 components of any sampling, complete Huffman codes of their own,
 * scans of random blocks, baseline or progressive, with restart intervals or without. Then it is damaged: a segment is lost, doubled or
 * moved, fields or bytes are others; or nothing is.
 */
export function makeJpeg(roll: Dice): Uint8Array<ArrayBuffer> {
  const [width, height] = [1 + roll(24), 1 + roll(24)];
  const progressive = oneOf(roll, 2);
  const count = oneOf(roll, 30) ? roll(6) : pick(roll, [1, 1, 3, 3, 3, 4]);
  const components = Array.from({ length: count }, (_, i) => ({ id: i + 1, h: i === 0 ? 1 + roll(2) : 1, v: i === 0 ? 1 + roll(2) : 1 }));
  if (oneOf(roll, 10) && components[0]) Object.assign(components[0], { h: roll(5), v: roll(5) });
  if (oneOf(roll, 12) && components[1]) Object.assign(components[1], { id: pick(roll, [0, 1, 3, 255]) });
  const dc = code([0, 1, 2, 3, 4, 5, 6, 7, 8].slice(0, 1 + roll(9)), roll);
  const runs = progressive ? [0x10, 0x20] : [];
  const ac = code([0, 0xf0, ...runs, ...Array.from({ length: 1 + roll(20) }, () => 1 + roll(5) + 16 * roll(15))], roll);
  const interval = oneOf(roll, 3) ? 1 + roll(5) : 0;
  const writer = { dc, ac, interval, width, height, components };
  const segments = [
    ...(oneOf(roll, 2) ? [segment(0xe0, Buffer.from('JFIF\0\x01\x01\0\0\x01\0\x01\0\0', 'latin1'))] : []),
    ...(count === 4 || oneOf(roll, 6) ? [segment(0xee, join(Buffer.from('Adobe\0\x64\0\0\0\0', 'latin1'), Uint8Array.of(roll(3))))] : []),
    ...(oneOf(roll, 8)
      ? [segment(0xe1, join(Buffer.from('Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0', 'latin1'), noise(8, roll)))]
      : []),
    segment(0xdb, oneOf(roll, 6) ? join(Uint8Array.of(0x10), noise(128, roll)) : join(Uint8Array.of(0), noise(64, roll))),
    segment(progressive ? 0xc2 : pick(roll, [0xc0, 0xc1]), frame(width, height, components)),
    segment(0xc4, join(table(0x00, dc), table(0x10, ac))),
    ...(interval > 0 ? [segment(0xdd, Uint8Array.of(0, interval))] : []),
    ...scansOf(components, progressive, roll).map((scan) => join(header(scan), entropy(scan, writer, progressive, roll))),
  ];
  if (oneOf(roll, 8)) segments.splice(roll(segments.length), 1);
  if (oneOf(roll, 8)) segments.splice(roll(segments.length + 1), 0, segments[roll(segments.length)] as Uint8Array<ArrayBuffer>);
  if (oneOf(roll, 6)) {
    const at = roll(segments.length);
    segments[at] = mutate(segments[at] ?? noise(0, roll), roll);
  }
  const file = join(Uint8Array.of(0xff, 0xd8), ...segments, ...(oneOf(roll, 20) ? [] : [Uint8Array.of(0xff, 0xd9)]));
  return oneOf(roll, 3) ? mutate(file, roll) : file;
}

function segment(marker: number, data: Uint8Array): Uint8Array<ArrayBuffer> {
  return join(Uint8Array.of(0xff, marker, (data.length + 2) >> 8, (data.length + 2) & 255), data);
}

function frame(width: number, height: number, components: readonly Component[]): Uint8Array {
  return join(Uint8Array.of(8, 0, height, 0, width, components.length, ...components.flatMap(({ id, h, v }) => [id, h * 16 + v, 0])));
}

function header({ components, from, to, high, low }: Scan): Uint8Array {
  const chosen = components.flatMap(({ id }) => [id, 0]);
  return segment(0xda, Uint8Array.of(components.length, ...chosen, from, to, high * 16 + low));
}

/** A complete code but for the word of all ones, which no JPEG has: leaves of a tree that are split until there is one for each symbol. */
function code(symbols: readonly number[], roll: Dice): Code {
  const own = [...new Set(symbols)];
  const lengths = [1, 1];
  while (lengths.length < own.length + 1) {
    const at = roll(lengths.length);
    const length = lengths[at] as number;
    if (length < 16) lengths.splice(at, 1, length + 1, length + 1);
  }
  lengths.sort((a, b) => a - b);
  let [word, before] = [0, 0];
  return own.map((symbol, i) => {
    const length = lengths[i] as number;
    word <<= length - before;
    before = length;
    return [symbol, (word++).toString(2).padStart(length, '0')] as const;
  });
}

function table(id: number, symbols: Code): Uint8Array {
  const counts = Array.from({ length: 16 }, (_, i) => symbols.filter(([, bits]) => bits.length === i + 1).length);
  return Uint8Array.of(id, ...counts, ...symbols.map(([symbol]) => symbol));
}

function scansOf(components: readonly Component[], progressive: boolean, roll: Dice): Scan[] {
  const apart = oneOf(roll, 3) ? components.map((component) => [component]) : [components];
  if (!progressive) return apart.map((chosen) => ({ components: chosen, from: 0, to: 63, high: 0, low: 0 }));
  const low = roll(3);
  const first = apart.map((chosen): Scan => ({ components: chosen, from: 0, to: 0, high: 0, low }));
  const middle = 1 + roll(63);
  const rest = components.flatMap((component): Scan[] => [
    { components: [component], from: 1, to: middle, high: 0, low: 1 },
    ...(middle < 63 ? [{ components: [component], from: middle + 1, to: 63, high: 0, low: 1 }] : []),
    { components: [component], from: 1, to: 63, high: 1, low: 0 },
  ]);
  const finer = low > 0 ? [{ components: apart[0] ?? [], from: 0, to: 0, high: low, low: low - 1 }] : [];
  return [...first, ...rest.slice(0, roll(rest.length + 1)), ...finer];
}

interface Writer {
  readonly dc: Code;
  readonly ac: Code;
  readonly interval: number;
  readonly width: number;
  readonly height: number;
  readonly components: readonly Component[];
}

/** The coded part of a scan: as many random blocks as it should have, a restart after each interval. */
function entropy(scan: Scan, { dc, ac, interval, width, height, components }: Writer, progressive: boolean, roll: Dice): Uint8Array {
  const most = (side: 'h' | 'v'): number => Math.max(1, ...components.map((component) => component[side]));
  const across = (pixels: number, factor: number, side: 'h' | 'v'): number => Math.ceil((pixels * factor) / most(side) / 8);
  const [only] = scan.components;
  const isAlone = scan.components.length === 1 && only !== undefined;
  const units = isAlone
    ? across(width, only.h, 'h') * across(height, only.v, 'v')
    : Math.ceil(width / most('h') / 8) * Math.ceil(height / most('v') / 8);
  const blocks = isAlone ? 1 : scan.components.reduce((sum, { h, v }) => sum + h * v, 0);
  const parts: Uint8Array[] = [];
  let bits = '';
  const random = (size: number): string => Array.from({ length: size }, () => roll(2)).join('');
  for (let unit = 0; unit < units; unit++) {
    if (interval > 0 && unit > 0 && unit % interval === 0) {
      parts.push(stuffed(bits), Uint8Array.of(0xff, 0xd0 + ((unit / interval - 1) & 7)));
      bits = '';
    }
    for (let block = 0; block < blocks; block++)
      bits += scan.high > 0 ? random(scan.from > 0 ? 40 : 1) : coded(scan, dc, ac, progressive, roll);
  }
  return join(...parts, stuffed(bits));
}

/** A block: the difference of its mean, and its other coefficients. */
function coded({ from, to }: Scan, dc: Code, ac: Code, progressive: boolean, roll: Dice): string {
  let bits = '';
  const take = (symbols: Code): number => {
    const [symbol, word] = pick(roll, symbols);
    bits += word;
    return symbol;
  };
  const value = (size: number): void => {
    for (let i = 0; i < size; i++) bits += roll(2);
  };
  if (from === 0) value(take(dc));
  for (let k = Math.max(from, 1); k <= to; ) {
    const symbol = take(ac);
    const [run, size] = [symbol >> 4, symbol & 15];
    if (size === 0 && run < 15) {
      value(run); // of a progressive scan: how many blocks more end here; more than there are, most often
      if (progressive && run > 0) continue;
      break;
    }
    value(size);
    k += run + 1;
  }
  return bits;
}

/** Bits as bytes, filled up with ones, a zero after each ff. */
function stuffed(bits: string): Uint8Array {
  const bytes = (bits.match(/.{1,8}/g) ?? []).map((byte) => Number.parseInt(byte.padEnd(8, '1'), 2));
  return Uint8Array.from(bytes.flatMap((byte) => (byte === 255 ? [255, 0] : [byte])));
}
