// Writes JPEG files of given coefficients (ITU-T T.81, annexes B, F and G), for the decoder to read back; and what becomes of coefficients.

export interface JpegComponent {
  /** Sampling factors. */
  readonly h: number;
  readonly v: number;
  /** Blocks of 64 coefficients in the order of the file, in rows of `across` blocks, filled up to whole MCUs. */
  readonly blocks: readonly Int16Array[];
  readonly across: number;
}

export interface JpegPicture {
  readonly width: number;
  readonly height: number;
  readonly components: readonly JpegComponent[];
  /** One for all components, in the order of the file. */
  readonly quantization: Uint8Array;
  /** MCUs between restart markers; 0 for none. */
  readonly restart: number;
}

/** What a scan holds: components by number, a band of coefficients, and bits that are left for later scans (Al) and were before (Ah, or 0). */
export interface ScanOf {
  readonly components: readonly number[];
  readonly first: number;
  readonly last: number;
  readonly high: number;
  readonly low: number;
}

const all = ({ components }: JpegPicture): number[] => components.map((_, c) => c);
const whole = (components: readonly number[]): ScanOf => ({ components, first: 0, last: 63, high: 0, low: 0 });

/** Baseline: one scan of all components, or one of each. */
export function sequentialJpeg(picture: JpegPicture, { interleaved }: { interleaved: boolean }): Uint8Array {
  return file(picture, 0xc0, interleaved ? [whole(all(picture))] : all(picture).map((c) => whole([c])));
}

/** Progressive: by bands, and the last two bits of each coefficient later. */
export function progressiveJpeg(picture: JpegPicture): Uint8Array {
  const bands = (high: number, low: number, ...edges: readonly (readonly [number, number])[]): ScanOf[] =>
    all(picture).flatMap((c) => edges.map(([first, last]) => ({ components: [c], first, last, high, low })));
  return file(picture, 0xc2, [
    { components: all(picture), first: 0, last: 0, high: 0, low: 1 },
    ...bands(0, 2, [1, 1], [2, 5], [6, 63]),
    ...bands(2, 1, [1, 63]),
    { components: all(picture), first: 0, last: 0, high: 1, low: 0 },
    ...bands(1, 0, [1, 63]),
  ]);
}

/** 100 symbols have codes of 8 bits, the others of 16; neighbours have both. */
export const SYMBOLS: Uint8Array = Uint8Array.from({ length: 256 }, (_, i) => (i * 37 + 11) % 256);
const SHORT = 100;
/** Codes of each length from 1 to 16. */
export const COUNTS: Uint8Array = Uint8Array.from({ length: 16 }, (_, i) => (i === 7 ? SHORT : i === 15 ? 256 - SHORT : 0));
const CODES = new Map(
  Array.from(SYMBOLS, (symbol, i) => [symbol, i < SHORT ? { code: i, bits: 8 } : { code: SHORT * 256 + i - SHORT, bits: 16 }] as const),
);

/** A segment with its marker and its length. */
export const segment = (marker: number, ...data: readonly number[]): number[] => [
  0xff,
  marker,
  (data.length + 2) >> 8,
  (data.length + 2) & 255,
  ...data,
];

function file(picture: JpegPicture, frame: number, scans: readonly ScanOf[]): Uint8Array {
  const { width, height, components, quantization, restart } = picture;
  const factors = components.flatMap(({ h, v }, c) => [c + 1, h * 16 + v, 0]);
  const bytes = [
    ...[0xff, 0xd8],
    ...segment(0xdb, 0, ...quantization),
    ...segment(frame, 8, height >> 8, height & 255, width >> 8, width & 255, components.length, ...factors),
    ...segment(0xc4, 0, ...COUNTS, ...SYMBOLS),
    ...segment(0xc4, 0x10, ...COUNTS, ...SYMBOLS),
    ...(restart ? segment(0xdd, restart >> 8, restart & 255) : []),
  ];
  for (const scan of scans) {
    const { components: own, first, last, high, low } = scan;
    bytes.push(...segment(0xda, own.length, ...own.flatMap((c) => [c + 1, 0]), first, last, high * 16 + low));
    for (const byte of coded(picture, scan, frame === 0xc2)) bytes.push(byte); // too many for arguments
  }
  return Uint8Array.from([...bytes, 0xff, 0xd9]);
}

/** The blocks of a scan, MCU by MCU, each with the number of its component. */
function mcusOf({ width, height, components }: JpegPicture, own: readonly number[]): [component: number, block: Int16Array][][] {
  const [maxH, maxV] = [Math.max(...components.map(({ h }) => h)), Math.max(...components.map(({ v }) => v))];
  const at = (c: number, row: number, column: number): Int16Array => {
    const { blocks, across } = components[c] as JpegComponent;
    return blocks[row * across + column] as Int16Array;
  };
  const grid = (rows: number, columns: number): [number, number][] =>
    Array.from({ length: rows * columns }, (_, i) => [Math.floor(i / columns), i % columns]);
  const [alone] = own as [number];
  if (own.length === 1) {
    const { h, v } = components[alone] as JpegComponent;
    const blocksOf = (size: number, factor: number, max: number): number => Math.ceil(Math.ceil((size * factor) / max) / 8);
    return grid(blocksOf(height, v, maxV), blocksOf(width, h, maxH)).map(([row, column]) => [[alone, at(alone, row, column)]]);
  }
  return grid(Math.ceil(height / (8 * maxV)), Math.ceil(width / (8 * maxH))).map(([row, column]) =>
    own.flatMap((c) => {
      const { h, v } = components[c] as JpegComponent;
      return grid(v, h).map(([y, x]): [number, Int16Array] => [c, at(c, row * v + y, column * h + x)]);
    }),
  );
}

/** Magnitude, less the bits that are left for later. */
const shifted = (value: number, low: number): number => Math.abs(value) >> low;
const category = (magnitude: number): number => 32 - Math.clz32(magnitude);

/** Entropy-coded bytes of a scan, with restart markers. */
export function coded(picture: JpegPicture, { components, first, last, high, low }: ScanOf, isProgressive: boolean): number[] {
  const bytes: number[] = [];
  let buffer = 0;
  let count = 0;
  let before: number[] = [];
  let blocksWithout = 0; // EOBRUN
  let corrections: number[] = []; // that belong to these blocks

  const bits = (value: number, size: number): void => {
    for (let i = size - 1; i >= 0; i--) {
      buffer = buffer * 2 + ((value >> i) & 1);
      count += 1;
      if (count < 8) continue;
      bytes.push(buffer);
      if (buffer === 255) bytes.push(0);
      buffer = count = 0;
    }
  };
  const symbol = (value: number): void => {
    const { code, bits: size } = CODES.get(value) as { code: number; bits: number };
    bits(code, size);
  };
  const signed = (value: number, size: number): void => bits(value < 0 ? value + (1 << size) - 1 : value, size);
  const endRun = (): void => {
    if (blocksWithout > 0) {
      const size = category(blocksWithout) - 1;
      symbol(size << 4);
      bits(blocksWithout & ((1 << size) - 1), size);
    }
    blocksWithout = 0;
    for (const bit of corrections) bits(bit, 1);
    corrections = [];
  };
  const dc = (c: number, value: number): void => {
    const difference = value - (before[c] ?? 0);
    before[c] = value;
    const size = category(Math.abs(difference));
    symbol(size);
    signed(difference, size);
  };
  const acFirst = (block: Int16Array, endOfBlock: () => void): void => {
    let run = 0;
    for (let k = Math.max(1, first); k <= last; k++) {
      const value = block[k] as number;
      const magnitude = shifted(value, low);
      if (magnitude === 0) {
        run += 1;
        continue;
      }
      endRun();
      for (; run > 15; run -= 16) symbol(0xf0);
      const size = category(magnitude);
      symbol(run * 16 + size);
      signed(value < 0 ? -magnitude : magnitude, size);
      run = 0;
    }
    if (run > 0) endOfBlock();
  };
  const acRefine = (block: Int16Array): void => {
    const fresh = Array.from(block, (value, k) => (k >= first && k <= last && shifted(value, low) === 1 ? k : -1));
    const end = Math.max(...fresh);
    let run = 0;
    let own: number[] = [];
    for (let k = first; k <= last; k++) {
      const value = block[k] as number;
      const magnitude = shifted(value, low);
      if (magnitude === 0) {
        run += 1;
        continue;
      }
      for (; run > 15 && k <= end; run -= 16) {
        endRun();
        symbol(0xf0);
        for (const bit of own) bits(bit, 1);
        own = [];
      }
      if (magnitude > 1) {
        own.push(magnitude & 1);
        continue;
      }
      endRun();
      symbol(run * 16 + 1);
      bits(value < 0 ? 0 : 1, 1);
      for (const bit of own) bits(bit, 1);
      own = [];
      run = 0;
    }
    if (run === 0 && own.length === 0) return;
    blocksWithout += 1;
    corrections.push(...own);
    if (blocksWithout === 0x7fff) endRun();
  };
  const encode = (c: number, block: Int16Array): void => {
    if (!isProgressive) {
      dc(c, block[0] as number);
      acFirst(block, () => symbol(0));
    } else if (first === 0) {
      if (high) bits(((block[0] as number) >> low) & 1, 1);
      else dc(c, (block[0] as number) >> low);
    } else if (high) acRefine(block);
    else {
      acFirst(block, () => {
        blocksWithout += 1;
        if (blocksWithout === 0x7fff) endRun();
      });
    }
  };

  for (const [i, mcu] of mcusOf(picture, components).entries()) {
    if (picture.restart && i > 0 && i % picture.restart === 0) {
      endRun();
      if (count > 0) bits(0xff, 8 - count);
      bytes.push(0xff, 0xd0 + ((i / picture.restart - 1) % 8));
      before = [];
    }
    for (const [c, block] of mcu) encode(c, block);
  }
  endRun();
  if (count > 0) bits(0xff, 8 - count);
  return bytes;
}

/** The places of the coefficients of a file in a block, row by row. */
export const ZIGZAG: readonly number[] = Array.from({ length: 15 }, (_, diagonal) => {
  const along = Array.from({ length: 8 }, (_, row) => [row, diagonal - row] as const).filter(([, column]) => column >= 0 && column < 8);
  return (diagonal % 2 ? along : along.reverse()).map(([row, column]) => row * 8 + column);
}).flat();

/** The inverse transform by its definition (T.81, A.3.3), in float64: coefficients, times their steps, by rows -> 64 samples, not rounded. */
export function inverseDct(coefficients: ArrayLike<number>): Float64Array {
  const c = (u: number): number => (u === 0 ? Math.SQRT1_2 : 1);
  return Float64Array.from({ length: 64 }, (_, at) => {
    const [y, x] = [at >> 3, at & 7];
    let sum = 0;
    for (let v = 0; v < 8; v++) {
      for (let u = 0; u < 8; u++) {
        const wave = Math.cos(((2 * x + 1) * u * Math.PI) / 16) * Math.cos(((2 * y + 1) * v * Math.PI) / 16);
        sum += c(u) * c(v) * (coefficients[v * 8 + u] as number) * wave;
      }
    }
    return sum / 4 + 128;
  });
}
