import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import * as assert from 'uvu/assert';
import { indexPath, readIndex, vectorsOf } from '../../src/cli/indexFile.ts';
import { crc32 } from '../../src/files/crc32.ts';
import { float32, integer } from '../checkpoint/torchFiles.ts';
import { makeFields } from './fields.ts';
import { type Dice, join, mutate, noise, oneOf, pick } from './mutate.ts';

const MODEL = { name: 'tiny', pooling: 'cls', exifOrientation: false };
const JOURNAL = [{ dinov2_index: '1', ...MODEL }];
const FILES = [{ name: 'a/b.png', size: 100, time: 1_700_000_000_000 }];
const WIDTH = 4;

/** An index of a folder and the journal beside it, each there or not, with the length of the first in front. */
export function makeIndex(roll: Dice): Uint8Array<ArrayBuffer> {
  const [whole, journal] = [oneOf(roll, 4) ? noise(0, roll) : makeWhole(roll), oneOf(roll, 2) ? noise(0, roll) : makeJournal(roll)];
  return join(integer(whole.length, 4), whole, journal);
}

/** What cannot be used is refused before anything is made of it: features are of one width, and what tells files apart is what it should be. */
export async function checkIndex(input: Uint8Array): Promise<void> {
  const length = new DataView(input.buffer).getUint32(0, true);
  for (const [path, bytes] of [
    [indexPath(folder()), input.subarray(4, 4 + length)],
    [`${indexPath(folder())}.journal`, input.subarray(4 + length)],
  ] as const) {
    if (bytes.length > 0) writeFileSync(path, bytes);
    else rmSync(path, { force: true });
  }
  const index = await readIndex(folder());
  if (!index) return;
  const images = [...index.images.values()];
  for (const [name, image] of index.images) {
    assert.is(name, image.name);
    assert.type(name, 'string');
    assert.ok(Number.isInteger(image.size) && Number.isInteger(image.time), `${image.size}, ${image.time}`);
    assert.is(image.vector.length, index.model.probe.length);
  }
  assert.equal(vectorsOf(images, index.model.probe.length).dims, [images.length, index.model.probe.length]);
}

function makeJournal(roll: Dice): Uint8Array<ArrayBuffer> {
  const records = [record(JOURNAL, roll), ...Array.from({ length: roll(4) }, () => record(FILES, roll))];
  return oneOf(roll, 3) ? mutate(join(...records), roll) : join(...records);
}

/** Length of the JSON, bytes of the feature, checksum, both: fields of any kind, with a checksum that holds. */
function record(valid: readonly object[], roll: Dice): Uint8Array<ArrayBuffer> {
  const json = oneOf(roll, 3) ? makeFields(roll, valid) : new TextEncoder().encode(JSON.stringify(valid[0]));
  const vector = oneOf(roll, 8) ? noise(roll(24), roll) : numbers(WIDTH, roll);
  const content = join(json, vector);
  return join(integer(json.length, 4), integer(vector.length, 4), integer(crc32(content), 4), content);
}

/** The index itself: a safetensors file whose tensors may be of other shapes, types and names, and still fit its length. */
function makeWhole(roll: Dice): Uint8Array<ArrayBuffer> {
  const count = roll(4);
  const names = Array.from({ length: count }, (_, i) => `${'ab'[roll(2)]}${i}.png\0`).join('');
  const tensors = {
    vectors: { dtype: 'F32', shape: [count, WIDTH], data: numbers(count * WIDTH, roll) },
    sizes: { dtype: 'I64', shape: [count], data: join(...Array.from({ length: count }, () => integer(roll(9999), 8))) },
    times: { dtype: 'I64', shape: [count], data: oneOf(roll, 9) ? noise(count * 8, roll) : join(...Array(count).fill(integer(5, 8))) },
    names: { dtype: 'U8', shape: [names.length], data: new TextEncoder().encode(names) },
    probe: { dtype: 'F32', shape: [WIDTH], data: numbers(WIDTH, roll) },
  };
  const settings = oneOf(roll, 3) ? makeFields(roll, [MODEL]) : new TextEncoder().encode(JSON.stringify(MODEL));
  const header: Record<string, unknown> = {
    __metadata__: { format: 'pt', dinov2_index: oneOf(roll, 30) ? '2' : '1', model: new TextDecoder().decode(settings) },
  };
  let at = 0;
  for (const [name, tensor] of Object.entries(tensors)) {
    const { dtype, shape } = oneOf(roll, 10) ? other(tensor.data.length, roll) : tensor;
    const end = at + tensor.data.length;
    header[oneOf(roll, 60) ? pick(roll, Object.keys(tensors)) : name] = { dtype, shape, data_offsets: [at, end] };
    at = end;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const padded = join(text, new Uint8Array((8 - (text.length % 8)) % 8).fill(32));
  const file = join(integer(padded.length, 8), padded, ...Object.values(tensors).map(({ data }) => data));
  return oneOf(roll, 4) ? mutate(file, roll) : file;
}

const SIZES = { F32: 4, F16: 2, BF16: 2, I64: 8, I32: 4, I8: 1, U8: 1, BOOL: 1, F64: 8 } as const;

/** Another type and shape of so many bytes. */
function other(bytes: number, roll: Dice): { dtype: string; shape: number[] } {
  const dtype = pick(roll, Object.keys(SIZES) as (keyof typeof SIZES)[]);
  const count = bytes / SIZES[dtype];
  if (!Number.isInteger(count)) return { dtype: 'U8', shape: [bytes] };
  return { dtype, shape: pick(roll, [[count], [1, count], [count, 1], count === 1 ? [] : [count], count === 0 ? [0, 7] : [count, 1, 1]]) };
}

/** Numbers between -1 and 1, or any bits. */
function numbers(count: number, roll: Dice): Uint8Array {
  return oneOf(roll, 10) ? noise(count * 4, roll) : float32(...Array.from({ length: count }, () => roll(2001) / 1000 - 1));
}

let made: string | undefined;

function folder(): string {
  if (made === undefined) {
    const path = mkdtempSync(joinPath(tmpdir(), 'dinov2-fuzz-index-'));
    process.on('exit', () => rmSync(path, { recursive: true, force: true }));
    made = path;
  }
  return made;
}
