import type { Engine } from '../runtime/engine.ts';
import type { Address } from '../runtime/memory.ts';
import { type JpegComponent, type JpegHeader, type JpegSegment, MARKER } from './jpeg.ts';

/** Samples of a block, across and down. */
const BLOCK = 8;
const COEFFICIENTS = BLOCK * BLOCK;
/** Bytes of what the kernels keep of a scan, of one of its components, and of a plane (assembly/jpeg). */
const SCAN_BYTES = 80;
const COMPONENT_BYTES = 32;
const PLANE_BYTES = 32;
/** Where a scan says what it met, and where a component keeps its coefficients. */
const PROBLEM = 68;
const PROBLEMS = ['', 'the data ends early', 'an unknown code', 'no restart marker where one should be'];
/** Rows of MCUs of a plane that are there at a time: chroma is interpolated from the rows above and below. */
const KEPT_ROWS = 3;
/** Bytes that a kernel may touch before it notices the end of a row. */
const SLACK = 32;
const COLORS = { gray: 0, ycc: 1, rgb: 2, cmyk: 3, ycck: 4 } as const;

/** The place of the coefficients in the order of a file: the diagonals from the upper left, up and down in turn (T.81, figure A.6). */
const ORDER = Uint8Array.from({ length: COEFFICIENTS }, (_, place) => place).sort((a, b) => rankOf(a) - rankOf(b));

function rankOf(place: number): number {
  const [row, column] = [place >> 3, place & 7];
  const diagonal = row + column;
  return 16 * diagonal + (diagonal % 2 ? row : column);
}

/** A component; h and v are the blocks of an MCU, across and down. */
interface Plane extends JpegComponent {
  /** Samples that belong to the picture. */
  readonly width: number;
  readonly height: number;
  /** Blocks of a row, filled up to whole MCUs. */
  readonly across: number;
  readonly address: Address;
  readonly room: Address;
  /** Of the rows of MCUs that are in memory: all of them, or one. */
  readonly coefficients: Address;
  /** i32 (8, 8); set when the first scan of the component begins. */
  readonly quantization: Address;
  isQuantized: boolean;
}

interface Scan {
  readonly address: Address;
  /** MCUs of a row, and rows: a scan of one component has MCUs of one block, and none outside of the picture. */
  readonly across: number;
  readonly rows: number;
}

/**
 * The RGB of a baseline, extended or progressive JPEG file of 8 bits with Huffman codes, as libjpeg-turbo and Pillow make it, in every byte:
 * the integer inverse transform, interpolated chroma. Progressive files that lack scans are not smoothed as libjpeg does.
 * Coefficients are kept of one row of MCUs, of progressive files all: 2 bytes a sample, on the engine.
 * @param segments of the whole file, its header having been read of them
 * @throws {Error} saying what is damaged, or which sampling is not decoded
 */
export function decodeJpeg(segments: readonly JpegSegment[], header: JpegHeader, engine: Engine): Uint8Array {
  return engine.scope(() => new Decoder(header, segments, engine).decode());
}

/** Whether all coefficients have to be kept: every scan but one of all components adds to what others bring. */
export function isKeptWhole(segments: readonly JpegSegment[], { isProgressive }: JpegHeader): boolean {
  return isProgressive || segments.filter(({ marker }) => marker === MARKER.SOS).length > 1;
}

class Decoder {
  readonly #engine: Engine;
  readonly #segments: readonly JpegSegment[];
  readonly #header: JpegHeader;
  readonly #isWhole: boolean;
  readonly #maxH: number;
  readonly #maxV: number;
  /** MCUs across and down. */
  readonly #across: number;
  readonly #rows: number;
  readonly #planes: readonly Plane[];
  readonly #order: Address;
  readonly #room: Address;
  readonly #quantization = new Map<number, Int32Array>();
  readonly #huffman = new Map<number, Address>();
  #interval = 0;

  constructor(header: JpegHeader, segments: readonly JpegSegment[], engine: Engine) {
    this.#engine = engine;
    this.#segments = segments;
    this.#header = header;
    this.#isWhole = isKeptWhole(segments, header);
    const { components } = header;
    this.#maxH = Math.max(...components.map(({ h }) => h));
    this.#maxV = Math.max(...components.map(({ v }) => v));
    if (!components.every(({ h, v }) => this.#maxH % h === 0 && this.#maxV % v === 0)) {
      throw new Error(`sampling factors ${components.map(({ h, v }) => `${h}x${v}`)}, whose ratios are no integers`);
    }
    this.#across = Math.ceil(header.width / (BLOCK * this.#maxH));
    this.#rows = Math.ceil(header.height / (BLOCK * this.#maxV));
    this.#order = engine.allocate(COEFFICIENTS);
    engine.write(this.#order, ORDER);
    this.#room = engine.allocate(2 * COEFFICIENTS * 4);
    this.#planes = components.map((component) => {
      const { h, v } = component;
      const across = this.#across * h;
      const blocks = across * v * (this.#isWhole ? this.#rows : 1);
      const coefficients = engine.allocate(blocks * COEFFICIENTS * 2);
      engine.view(coefficients, blocks * COEFFICIENTS * 2).fill(0);
      const width = Math.ceil((header.width * h) / this.#maxH);
      return {
        ...component,
        width,
        height: Math.ceil((header.height * v) / this.#maxV),
        across,
        address: engine.allocate(across * BLOCK * v * BLOCK * KEPT_ROWS + SLACK),
        room: engine.allocate((width * this.#maxH) / h + SLACK),
        coefficients,
        quantization: engine.allocate(COEFFICIENTS * 4),
        isQuantized: false,
      };
    });
  }

  decode(): Uint8Array {
    let rgb: Uint8Array | undefined;
    for (const { marker, data, bytes } of this.#segments) {
      if (marker === MARKER.DQT) this.#readQuantization(data);
      else if (marker === MARKER.DHT) this.#readHuffman(data);
      else if (marker === MARKER.DRI) this.#readInterval(data);
      else if (marker === MARKER.SOS) {
        this.#engine.scope(() => {
          const scan = this.#beginScan(data, bytes.subarray(4 + data.length));
          if (this.#isWhole) this.#decodeRows(scan, scan.rows);
          else rgb = this.#rgb(() => this.#decodeRows(scan, 1));
        });
      }
    }
    return rgb ?? this.#rgb(() => {});
  }

  /** DRI (T.81 B.2.4.4): MCUs between two restart markers. */
  #readInterval(data: Uint8Array): void {
    if (data.length !== 2) throw new Error('a restart interval that makes no sense');
    this.#interval = new DataView(data.buffer, data.byteOffset).getUint16(0);
  }

  /** DQT (T.81 B.2.4.1): numbers of 8 or 16 bits in the order of coefficients. */
  #readQuantization(data: Uint8Array): void {
    const view = new DataView(data.buffer, data.byteOffset, data.length);
    for (let at = 0; at < data.length; ) {
      const [size, number] = [(data[at] as number) >> 4 ? 2 : 1, (data[at] as number) & 15];
      at += 1;
      if (at + COEFFICIENTS * size > data.length) throw new Error('a quantization table that is too short');
      const table = new Int32Array(COEFFICIENTS);
      for (const place of ORDER) {
        table[place] = size === 2 ? view.getUint16(at) : view.getUint8(at);
        at += size;
      }
      this.#quantization.set(number, table);
    }
  }

  /** DHT (B.2.4.2): how many codes of each length there are, and their symbols. */
  #readHuffman(data: Uint8Array): void {
    for (let at = 0; at < data.length; ) {
      const number = data[at] as number;
      const counts = data.subarray(at + 1, at + 17);
      const symbols = data.subarray(at + 17, at + 17 + sumOf(counts));
      const table = huffmanTable(counts, symbols);
      let address = this.#huffman.get(number);
      if (address === undefined) {
        address = this.#engine.allocate(table.length);
        this.#huffman.set(number, address);
      }
      this.#engine.write(address, table);
      at += 17 + symbols.length;
    }
  }

  /** SOS (B.2.3), with the entropy-coded bytes behind it. */
  #beginScan(data: Uint8Array, coded: Uint8Array): Scan {
    const engine = this.#engine;
    const { isProgressive } = this.#header;
    const count = (data.length - 4) / 2;
    const [first, last, approximation] = data.subarray(1 + 2 * count) as unknown as [number, number, number];
    const isBand = isProgressive && first > 0;
    if (count !== data[0] || count < 1 || count > 4 || last >= COEFFICIENTS || (isBand && (count > 1 || last < first))) {
      throw new Error('a scan header that makes no sense');
    }
    const bytes = engine.allocate(coded.length);
    engine.write(bytes, coded);
    const scan = new DataView(new ArrayBuffer(SCAN_BYTES + count * COMPONENT_BYTES));
    const set = (at: number, ...values: number[]): void => {
      for (const [i, value] of values.entries()) scan.setInt32(at + 4 * i, value, true);
    };
    const [high, low] = [approximation >> 4, approximation & 15];
    set(0, bytes, bytes + coded.length);
    set(24, this.#order, this.#interval, this.#interval, 0, 0, first, last, high, low, Number(isProgressive), count);
    const planes = Array.from({ length: count }, (_, c) => {
      const [id, tables] = data.subarray(1 + 2 * c) as unknown as [number, number];
      const plane = this.#planes.find((p) => p.id === id);
      if (!plane) throw new Error(`a scan of component ${id}, which is none of the picture`);
      this.#quantize(plane);
      const { coefficients, across, h, v } = plane;
      const shape = count === 1 ? [1, 1] : [h, v];
      const dc = isBand || (isProgressive && high > 0) ? 0 : this.#huffmanOf(tables >> 4);
      const ac = isProgressive && !isBand ? 0 : this.#huffmanOf(16 + (tables & 15));
      set(SCAN_BYTES + c * COMPONENT_BYTES, coefficients, across, ...shape, dc, ac, 0);
      return plane;
    });
    const address = engine.allocate(scan.byteLength);
    engine.write(address, scan);
    const [{ width, height }] = planes as [Plane];
    if (count > 1 || !this.#isWhole) return { address, across: this.#across, rows: this.#rows };
    return { address, across: Math.ceil(width / BLOCK), rows: Math.ceil(height / BLOCK) };
  }

  #huffmanOf(number: number): Address {
    const address = this.#huffman.get(number);
    if (address === undefined) throw new Error(`a scan with Huffman table ${number & 15}, which is missing`);
    return address;
  }

  /** A component has the quantization table of its number as that is when its first scan begins. */
  #quantize(plane: Plane): void {
    if (plane.isQuantized) return;
    const table = this.#quantization.get(plane.table);
    if (!table) throw new Error(`a component with quantization table ${plane.table}, which is missing`);
    this.#engine.write(plane.quantization, table);
    plane.isQuantized = true;
  }

  #decodeRows({ address, across }: Scan, rows: number): void {
    const engine = this.#engine;
    engine.call('i16_jpeg_scan', address, across, rows);
    const problem = new DataView(engine.view(address + PROBLEM, 4).slice().buffer).getInt32(0, true);
    if (problem) throw new Error(PROBLEMS[problem]);
  }

  /** Coefficients into colours, one row of MCUs after the other; `produce` sees to it that the coefficients of a row are there. */
  #rgb(produce: () => void): Uint8Array {
    const engine = this.#engine;
    const { width, height, isYcc } = this.#header;
    const components = this.#planes.length;
    const rgb = new Uint8Array(width * height * 3);
    const color = components === 1 ? 'gray' : components === 3 ? (isYcc ? 'ycc' : 'rgb') : isYcc ? 'ycck' : 'cmyk';
    const rowsOfMcu = BLOCK * this.#maxV;
    const output = engine.allocate(rowsOfMcu * width * 3 + SLACK);
    const planes = engine.allocate(components * PLANE_BYTES);
    engine.write(planes, Int32Array.from(this.#planes.flatMap((plane) => this.#describe(plane))));
    for (let row = 0; row <= this.#rows; row++) {
      if (row < this.#rows) {
        produce();
        for (const plane of this.#planes) this.#transform(plane, row);
      }
      if (row === 0) continue; // what is interpolated needs the row below
      const first = (row - 1) * rowsOfMcu;
      engine.call('u8_jpeg_rows', planes, COLORS[color], width, first, rowsOfMcu, output);
      engine.read(output, rgb.subarray(first * width * 3, (first + rowsOfMcu) * width * 3)); // as far as the picture goes
    }
    return rgb;
  }

  /** The coefficients of a row of MCUs into its place in the ring of samples. */
  #transform({ v, across, coefficients, quantization, address }: Plane, row: number): void {
    const stride = across * BLOCK;
    for (let y = 0; y < v; y++) {
      const from = coefficients + ((this.#isWhole ? row * v : 0) + y) * across * COEFFICIENTS * 2;
      const to = address + ((row % KEPT_ROWS) * v + y) * BLOCK * stride;
      this.#engine.call('u8_jpeg_idct', across, from, quantization, to, stride, this.#room);
    }
  }

  #describe({ address, across, h, v, width, height, room }: Plane): number[] {
    return [address, across * BLOCK, KEPT_ROWS * v * BLOCK, width, height, this.#maxH / h, this.#maxV / v, room];
  }
}

function sumOf(numbers: Uint8Array): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}

/**
 * As assembly/jpeg/i16_jpeg_scan.ts reads it.
 * @throws {Error} when there are not as many symbols as codes, more than 256, or more codes of a length than there can be
 */
export function huffmanTable(counts: Uint8Array, symbols: Uint8Array): Uint8Array {
  const LOOKUP = 9;
  const lookup = new Uint16Array(2 ** LOOKUP);
  const largest = new Int32Array(17).fill(-1);
  const places = new Int32Array(17);
  let code = 0;
  let place = 0;
  let isPossible = counts.length === 16 && symbols.length === sumOf(counts) && symbols.length <= 256;
  let length = 0;
  for (const count of counts) {
    length += 1;
    isPossible &&= code + count <= 2 ** length;
    places[length] = place - code;
    for (let i = 0; i < count; i++, code++, place++) {
      const free = LOOKUP - length;
      if (free >= 0) lookup.fill(length * 256 + (symbols[place] as number), code << free, (code + 1) << free);
    }
    if (count > 0) largest[length] = code - 1;
    code *= 2;
  }
  if (!isPossible) throw new Error('a Huffman table that makes no sense');
  const table = new Uint8Array(lookup.byteLength + 2 * largest.byteLength + 256);
  table.set(new Uint8Array(lookup.buffer));
  table.set(new Uint8Array(largest.buffer), lookup.byteLength);
  table.set(new Uint8Array(places.buffer), lookup.byteLength + largest.byteLength);
  table.set(symbols, lookup.byteLength + 2 * largest.byteLength);
  return table;
}
