/**
 * The entropy-coded data of a JPEG scan -> coefficients: sequential and progressive with Huffman codes (ITU-T T.81, annexes F and G). Where
 * the data is damaged it stops at the end of a row of MCUs and says so in `problem`; it reads and writes nothing outside what it was given.
 */

/** What a scan says and where its decoding stands; src/image/jpegDecoder.ts fills it in. 80 bytes, its components follow. */
@unmanaged
class Scan {
  /** The next byte of the data, and the first that is none. */
  at: usize;
  end: usize;
  /** The lowest `count` are read and not used yet; `padding` of these stand for bytes that the data lacks. */
  bits: u64;
  count: i32;
  padding: i32;
  /** u8[64]: the place in a block, row by row, of the coefficients in the order of the file. */
  order: usize;
  /** MCUs between two restart markers, 0 for none; how many are left to the next one, and its number. */
  interval: i32;
  left: i32;
  restart: i32;
  /** Blocks to come that have no coefficients in this scan (progressive). */
  endOfBand: i32;
  /** Ss, Se, Ah and Al of T.81 B.2.3. */
  first: i32;
  last: i32;
  high: i32;
  low: i32;
  progressive: i32;
  components: i32;
  problem: i32;
}

/** 32 bytes. */
@unmanaged
class Component {
  /** i16[64] a block, from the first row of MCUs that is decoded on. */
  coefficients: usize;
  /** Blocks of a row. */
  across: i32;
  /** Blocks of an MCU, across and down. */
  h: i32;
  v: i32;
  /** Huffman tables: see `symbol`. */
  dc: usize;
  ac: usize;
  /** The last DC coefficient. */
  last: i32;
}

const SCAN_BYTES: usize = 80;
const COMPONENT_BYTES: usize = 32;
const BLOCK_BYTES: usize = 128;

/** Problems: data that ends early, a code that the table has not, no restart marker where one should be. */
const SHORT = 1;
const UNKNOWN = 2;
const RESTART = 3;

/** Bits of a code that are looked up at once; entries of 16 bits (length * 256 + symbol, 0 for longer codes) stand first in a table. */
const LOOKUP = 9;
/** Then i32[17]: the largest code of each length, -1 for none. */
const LARGEST: usize = 2 << LOOKUP;
/** Then i32[17]: what makes of a code of each length the place of its symbol among u8[256]. */
const PLACES: usize = LARGEST + 17 * 4;
const SYMBOLS: usize = PLACES + 17 * 4;

/** Reads until there are more than 48 bits. */
function fill(s: Scan): void {
  while (s.count <= 48) {
    let byte: u64 = 0;
    if (s.at < s.end) {
      byte = load<u8>(s.at);
      if (byte != 0xff) s.at += 1;
      else {
        let next = s.at + 1;
        while (next < s.end && load<u8>(next) == 0xff) next++;
        if (next < s.end && load<u8>(next) == 0) s.at = next + 1;
        else {
          byte = 0; // a marker: there is no more
          s.padding += 8;
        }
      }
    } else s.padding += 8;
    s.bits = (s.bits << 8) | byte;
    s.count += 8;
  }
}

/** The next symbol; after it at least 16 bits are there. */
function symbol(s: Scan, table: usize): i32 {
  if (s.count < 32) fill(s);
  const entry = <i32>load<u16>(table + ((<usize>(s.bits >> (s.count - LOOKUP)) & ((1 << LOOKUP) - 1)) << 1));
  if (entry) {
    s.count -= entry >> 8;
    return entry & 255;
  }
  const code = <i32>(s.bits >> (s.count - 16)) & 0xffff;
  for (let length = LOOKUP + 1; length <= 16; length++) {
    const prefix = code >> (16 - length);
    if (prefix <= load<i32>(table + LARGEST + (<usize>length << 2))) {
      s.count -= length;
      return load<u8>(table + SYMBOLS + (<usize>(prefix + load<i32>(table + PLACES + (<usize>length << 2))) & 255));
    }
  }
  s.problem = UNKNOWN;
  return 0;
}

/** `size` bits, 0 to 15, after a symbol. */
// @ts-ignore: decorator
@inline
function take(s: Scan, size: i32): i32 {
  s.count -= size;
  return <i32>(s.bits >> s.count) & ((1 << size) - 1);
}

/** The number that `size` bits stand for, 1 to 15 (T.81, F.2.2.1). */
// @ts-ignore: decorator
@inline
function extended(s: Scan, size: i32): i32 {
  const value = take(s, size);
  return value < 1 << (size - 1) ? value - (1 << size) + 1 : value;
}

// @ts-ignore: decorator
@inline
function bit(s: Scan): i32 {
  if (s.count < 32) fill(s);
  return take(s, 1);
}

// @ts-ignore: decorator
@inline
function placeOf(s: Scan, block: usize, k: i32): usize {
  return block + (<usize>load<u8>(s.order + k) << 1);
}

function nextDc(s: Scan, component: Component): i32 {
  const size = symbol(s, component.dc) & 15;
  if (size) component.last += extended(s, size);
  return component.last;
}

function sequential(s: Scan, component: Component, block: usize): void {
  for (let i: usize = 0; i < BLOCK_BYTES; i += 16) v128.store(block + i, i32x4.splat(0));
  store<i16>(block, <i16>nextDc(s, component));
  for (let k = 1; k < 64; k++) {
    const rs = symbol(s, component.ac);
    const size = rs & 15;
    if (size) {
      k += rs >> 4;
      if (k > 63) break;
      store<i16>(placeOf(s, block, k), <i16>extended(s, size));
    } else {
      if (rs != 0xf0) break;
      k += 15;
    }
  }
}

function acFirst(s: Scan, component: Component, block: usize): void {
  if (s.endOfBand > 0) {
    s.endOfBand -= 1;
    return;
  }
  for (let k = s.first; k <= s.last; k++) {
    const rs = symbol(s, component.ac);
    const size = rs & 15;
    const run = rs >> 4;
    if (size) {
      k += run;
      if (k > s.last) return;
      store<i16>(placeOf(s, block, k), <i16>(extended(s, size) << s.low));
    } else if (run == 15) k += 15;
    else {
      s.endOfBand = (1 << run) + take(s, run) - 1;
      return;
    }
  }
}

/** One more bit of a coefficient that is not zero. */
// @ts-ignore: decorator
@inline
function refine(s: Scan, place: usize, value: i32): void {
  if (bit(s) && !(value & (1 << s.low))) store<i16>(place, <i16>(value < 0 ? value - (1 << s.low) : value + (1 << s.low)));
}

function acRefine(s: Scan, component: Component, block: usize): void {
  let k = s.first;
  if (s.endOfBand == 0) {
    for (; k <= s.last; k++) {
      const rs = symbol(s, component.ac);
      let run = rs >> 4;
      let fresh = 0;
      if (rs & 15) fresh = take(s, 1) ? 1 << s.low : -1 << s.low;
      else if (run < 15) {
        s.endOfBand = (1 << run) + take(s, run);
        break;
      }
      for (; k <= s.last; k++) {
        const place = placeOf(s, block, k);
        const value = <i32>load<i16>(place);
        if (value) refine(s, place, value);
        else if (--run < 0) {
          if (fresh) store<i16>(place, <i16>fresh);
          break;
        }
      }
      if (s.problem) return;
    }
  }
  if (s.endOfBand > 0) {
    for (; k <= s.last; k++) {
      const place = placeOf(s, block, k);
      const value = <i32>load<i16>(place);
      if (value) refine(s, place, value);
    }
    s.endOfBand -= 1;
  }
}

function decode(s: Scan, component: Component, block: usize): void {
  if (!s.progressive) sequential(s, component, block);
  else if (s.first > 0) {
    if (s.high) acRefine(s, component, block);
    else acFirst(s, component, block);
  } else if (s.high) {
    if (bit(s)) store<i16>(block, <i16>(<i32>load<i16>(block) | (1 << s.low)));
  } else store<i16>(block, <i16>(nextDc(s, component) << s.low));
}

/** Goes on behind the next restart marker. */
function restart(s: Scan, components: usize): void {
  if (s.count < s.padding) s.problem = SHORT;
  while (s.at + 1 < s.end && (load<u8>(s.at) != 0xff || load<u8>(s.at + 1) == 0 || load<u8>(s.at + 1) == 0xff)) s.at += 1;
  if (s.at + 1 >= s.end || load<u8>(s.at + 1) != 0xd0 + s.restart) {
    s.problem = RESTART;
    return;
  }
  s.at += 2;
  s.restart = (s.restart + 1) & 7;
  s.left = s.interval;
  s.count = 0;
  s.padding = 0;
  s.endOfBand = 0;
  for (let c = 0; c < s.components; c++) changetype<Component>(components + <usize>c * COMPONENT_BYTES).last = 0;
}

/** Decodes the next `rows` rows of `across` MCUs. In progressive scans the coefficients are what the scans before left, at first zeros. */
export function i16_jpeg_scan(scan: usize, across: i32, rows: i32): void {
  const s = changetype<Scan>(scan);
  const components = scan + SCAN_BYTES;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < across; column++) {
      if (s.interval && s.left == 0) {
        restart(s, components);
        if (s.problem) return;
      }
      s.left -= 1;
      for (let c = 0; c < s.components; c++) {
        const component = changetype<Component>(components + <usize>c * COMPONENT_BYTES);
        for (let y = 0; y < component.v; y++) {
          for (let x = 0; x < component.h; x++) {
            const number = (row * component.v + y) * component.across + column * component.h + x;
            decode(s, component, component.coefficients + <usize>number * BLOCK_BYTES);
          }
        }
      }
    }
    if (s.count < s.padding) s.problem = SHORT;
    if (s.problem) return;
  }
}
