import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ImageError } from '../../src/errors.ts';
import {
  inflatedBytes,
  isIntact,
  isPng,
  PNG_SIGNATURE,
  type PngChunk,
  paeth,
  pngChunks,
  pngColors,
  readPngHeader,
} from '../../src/image/png.ts';
import { refuses } from '../helpers.ts';
import { pngFile } from '../reference/png.ts';

const HEADER = { width: 1, height: 1, bitDepth: 8, samples: 1, indexed: false, interlaced: false };

/** An IHDR chunk. */
function ihdr(width: number, height: number, bitDepth: number, colorType: number, interlace = 0): PngChunk {
  const data = new Uint8Array(13);
  new DataView(data.buffer).setUint32(0, width);
  new DataView(data.buffer).setUint32(4, height);
  data.set([bitDepth, colorType, 0, 0, interlace], 8);
  return { type: 'IHDR', data, bytes: data };
}

test('all eight bytes of the signature tell a PNG', () => {
  assert.ok(isPng(PNG_SIGNATURE));
  for (let i = 0; i < 8; i++) assert.not.ok(isPng(PNG_SIGNATURE.with(i, 1)), `byte ${i}`);
  assert.not.ok(isPng(PNG_SIGNATURE.subarray(0, 7)));
});

test('chunks are told apart up to IEND, with their data, and whether they are intact', () => {
  const end: [string, Uint8Array] = ['IEND', new Uint8Array()];
  const bytes = pngFile([['IDAT', Uint8Array.of(1, 2, 3)], ['tEXt', Uint8Array.of(4)], end, ['IDAT', Uint8Array.of(5)]]);
  const chunks = [...pngChunks(bytes, 'a.png')];
  assert.equal(
    chunks.map(({ type, data }) => [type, ...data]),
    [['IDAT', 1, 2, 3], ['tEXt', 4], ['IEND']],
  );
  assert.ok(chunks.every(isIntact));
  for (let i = 4; i < 15; i++) {
    const damaged = (chunks[0] as PngChunk).bytes.slice();
    damaged[i] ^= 1;
    assert.not.ok(isIntact({ ...(chunks[0] as PngChunk), bytes: damaged }), `byte ${i}`);
  }
});

test('a file that ends before IEND does is refused with where its chunk should end', async () => {
  const bytes = pngFile([['IEND', new Uint8Array()]]);
  const read = (length: number) => () => [...pngChunks(bytes.subarray(0, length), 'a.png')];
  assert.is(read(20)().length, 1);
  for (const length of [8, 12, 19]) {
    await refuses(read(length), ImageError, `a.png: expected a PNG chunk up to byte 20, found the end at ${length}: the file is truncated`);
  }
});

test('100000 chunks are read, one more is refused', async () => {
  const file = (count: number): Uint8Array => {
    const bytes = new Uint8Array(8 + 12 * count);
    for (let i = 0; i < count; i++) bytes.set(Buffer.from(i === count - 1 ? 'IEND' : 'aaaa'), 8 + 12 * i + 4);
    return bytes;
  };
  assert.is([...pngChunks(file(100_000), 'a.png')].length, 100_000);
  await refuses(() => [...pngChunks(file(100_001), 'a.png')], ImageError, 'a.png', 'at most 100000 PNG chunks');
});

test('colour types and depths are those of the table of the specification, and no others', async () => {
  const table: Record<number, { samples: number; depths: number[] }> = {
    0: { samples: 1, depths: [1, 2, 4, 8, 16] },
    2: { samples: 3, depths: [8, 16] },
    3: { samples: 1, depths: [1, 2, 4, 8] },
    4: { samples: 2, depths: [8, 16] },
    6: { samples: 4, depths: [8, 16] },
  };
  for (let colorType = 0; colorType < 8; colorType++) {
    for (let depth = 0; depth <= 17; depth++) {
      const { samples, depths } = table[colorType] ?? { samples: 0, depths: [] };
      const read = () => readPngHeader(ihdr(258, 772, depth, colorType), 'a.png');
      const expected = { width: 258, height: 772, bitDepth: depth, samples, indexed: colorType === 3, interlaced: false };
      if (depths.includes(depth)) assert.equal(read(), expected);
      else
        await refuses(read, ImageError, `a.png: expected a colour type and bit depth of PNG, found type ${colorType} with ${depth} bits`);
    }
  }
});

test('a file that starts with another chunk, or one of another length, is refused', async () => {
  assert.is(readPngHeader(ihdr(1, 1, 8, 0, 1), 'a.png').interlaced, true);
  const good = ihdr(1, 1, 8, 0);
  await refuses(() => readPngHeader({ ...good, type: 'IDAT' }, 'a.png'), ImageError, 'found "IDAT" of 13');
  for (const length of [0, 12, 14]) {
    await refuses(
      () => readPngHeader({ ...good, data: new Uint8Array(length) }, 'a.png'),
      ImageError,
      `13 bytes, found "IHDR" of ${length}`,
    );
  }
});

/** Which of the seven passes an interlaced pixel is in: the 8 x 8 pattern of the specification, section 8.2. */
const PATTERN = ['16462646', '77777777', '56565656', '77777777', '36463646', '77777777', '56565656', '77777777'];

test('an interlaced picture takes the bytes of its passes, of any size and depth', () => {
  for (const bitDepth of [1, 2, 4, 8, 16]) {
    for (let width = 1; width <= 17; width++) {
      for (let height = 1; height <= 9; height++) {
        const rows = new Map<string, number>();
        for (let y = 0; y < height; y++) {
          for (let x = 0; x < width; x++) {
            const row = `${PATTERN[y % 8]?.[x % 8]} ${y}`;
            rows.set(row, (rows.get(row) ?? 0) + 1);
          }
        }
        const expected = [...rows.values()].reduce((sum, pixels) => sum + 1 + Math.ceil((pixels * bitDepth) / 8), 0);
        assert.is(
          inflatedBytes({ ...HEADER, width, height, bitDepth, interlaced: true }),
          expected,
          `${width} x ${height}, ${bitDepth} bits`,
        );
        assert.is(inflatedBytes({ ...HEADER, width, height, bitDepth }), height * (1 + Math.ceil((width * bitDepth) / 8)));
      }
    }
  }
});

test('the predictor of Paeth is the one of the specification', () => {
  const values = [0, 1, 2, 3, 127, 128, 200, 254, 255];
  for (const a of values) {
    for (const b of values) {
      for (const c of values) {
        const p = a + b - c;
        const [pa, pb, pc] = [Math.abs(p - a), Math.abs(p - b), Math.abs(p - c)];
        assert.is(paeth(a, b, c), pa <= pb && pa <= pc ? a : pb <= pc ? b : c, `${a} ${b} ${c}`);
      }
    }
  }
});

test('each filter is undone with what is left of, above, and above left of a byte', () => {
  // two rows of three grey pixels: 10 20 30, and 11 25 7 filtered in each way
  const filtered = (filter: number, ...line: number[]): number[] => {
    const bytes = Uint8Array.of(0, 10, 20, 30, filter, ...line);
    const rgb = pngColors({ ...HEADER, width: 3, height: 2 }, bytes, new Uint8Array());
    return [...rgb].filter((_, i) => i % 3 === 0).slice(3);
  };
  assert.equal(filtered(0, 11, 25, 7), [11, 25, 7]);
  assert.equal(filtered(1, 11, 14, 238), [11, 25, 7]);
  assert.equal(filtered(2, 1, 5, 233), [11, 25, 7]);
  assert.equal(filtered(3, 6, 10, 236), [11, 25, 7]);
  assert.equal(filtered(4, 1, 5, 233), [11, 25, 7]);
  assert.throws(() => filtered(5, 0, 0, 0), /filter 5 of a row/);
});

test('a colour beyond the palette is refused, the last of it is not', () => {
  const indexed = { ...HEADER, indexed: true };
  const palette = Uint8Array.of(1, 2, 3, 4, 5, 6);
  assert.equal([...pngColors(indexed, Uint8Array.of(0, 1), palette)], [4, 5, 6]);
  assert.throws(() => pngColors(indexed, Uint8Array.of(0, 2), palette), /colour 2 of a palette of 2/);
  assert.throws(() => pngColors(indexed, Uint8Array.of(0, 0), new Uint8Array()), /colour 0 of a palette of 0/);
});

test.run();
