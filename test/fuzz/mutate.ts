import { crc32 } from '../../src/files/crc32.ts';
import { PNG_SIGNATURE } from '../../src/image/png.ts';
import { randomNumbers } from '../image/helpers.ts';

/** Whole numbers from 0 below `limit` that are the same in every run. */
export type Dice = (limit: number) => number;

export function dice(seed: number): Dice {
  const random = randomNumbers(seed);
  return (limit) => Math.floor(random() * limit);
}

export function pick<T>(roll: Dice, items: readonly T[]): T {
  return items[roll(items.length)] as T;
}

/** True one time of so many. */
export function oneOf(roll: Dice, times: number): boolean {
  return roll(times) === 0;
}

export function noise(bytes: number, roll: Dice): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: bytes }, () => roll(256));
}

type Mutation = (bytes: Uint8Array, roll: Dice) => Uint8Array;

/** Values at which lengths and counts break: 0, the signs, and the ends of 8, 16, 32, 53 and 64 bits. */
const LENGTHS = [0n, 1n, 0x7fn, 0xffn, 0x7fffn, 0xffffn, 0x7fffffffn, 0xffffffffn, 2n ** 53n - 1n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n];
const WORDS = ['__proto__', 'constructor', '-1', '1e999', '9007199254740993', 'null', '[[[[', '{}', '"\\ud800"', '../x', '\u0000'];

const flip: Mutation = (bytes, roll) => {
  const copy = bytes.slice();
  for (let n = 1 + roll(4); n > 0 && copy.length > 0; n--) {
    const at = roll(copy.length);
    copy[at] = (copy[at] as number) ^ (1 << roll(8));
  }
  return copy;
};

const truncate: Mutation = (bytes, roll) => bytes.slice(0, roll(bytes.length + 1));

const cut: Mutation = (bytes, roll) => {
  const [from, length] = [roll(bytes.length + 1), 1 + roll(64)];
  return join(bytes.subarray(0, from), bytes.subarray(from + length));
};

const repeat: Mutation = (bytes, roll) => {
  const [from, to, length] = [roll(bytes.length + 1), roll(bytes.length + 1), 1 + roll(256)];
  return join(bytes.subarray(0, to), bytes.subarray(from, from + length), bytes.subarray(to));
};

const overwrite: Mutation = (bytes, roll) => {
  const copy = bytes.slice();
  const [from, to, length] = [roll(bytes.length + 1), roll(bytes.length + 1), 1 + roll(64)];
  copy.set(bytes.slice(from, Math.min(from + length, bytes.length, from + bytes.length - to)), to);
  return copy;
};

/** A whole number of 1, 2, 4 or 8 bytes, in either order, mostly near the beginning or the end, where formats keep their lengths. */
const tamper: Mutation = (bytes, roll) => {
  const size = pick(roll, [1, 2, 4, 8] as const);
  if (bytes.length < size) return bytes;
  const copy = bytes.slice();
  const reach = Math.min(copy.length - size + 1, 512);
  const at = pick(roll, [roll(reach), copy.length - size - roll(reach), roll(copy.length - size + 1)]);
  const field = new DataView(new ArrayBuffer(8));
  const little = roll(2) === 0;
  field.setBigUint64(0, BigInt.asUintN(64, pick(roll, LENGTHS) + BigInt(roll(3) - 1)), little);
  copy.set(new Uint8Array(field.buffer, little ? 0 : 8 - size, size), at);
  return copy;
};

const word: Mutation = (bytes, roll) => {
  const [at, gone] = [roll(bytes.length + 1), roll(12)];
  return join(bytes.subarray(0, at), new TextEncoder().encode(pick(roll, WORDS)), bytes.subarray(at + gone));
};

const MUTATIONS: readonly Mutation[] = [flip, flip, truncate, cut, repeat, overwrite, tamper, tamper, tamper, word];

/** Valid bytes, damaged once or twice, or one time of eight not at all: that they are valid has to show. */
export function mutate(valid: Uint8Array, roll: Dice): Uint8Array<ArrayBuffer> {
  let bytes = valid;
  for (let n = pick(roll, [0, 1, 1, 1, 1, 1, 2, 2]); n > 0; n--) bytes = pick(roll, MUTATIONS)(bytes, roll);
  return new Uint8Array(bytes);
}

/** The same in part of a file, the rest as it was: where a header is small beside what it describes. */
export function mutateStart(valid: Uint8Array, length: number, roll: Dice): Uint8Array<ArrayBuffer> {
  return join(mutate(valid.subarray(0, length), roll), valid.subarray(length));
}

/** A PNG file with the checksums that its chunks should have: without, damage is found before it is looked at. */
export function withPngChecksums(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(bytes);
  const view = new DataView(copy.buffer);
  for (let start = PNG_SIGNATURE.length; start + 12 <= copy.length; ) {
    const end = start + 8 + view.getUint32(start);
    if (end + 4 > copy.length) break;
    view.setUint32(end, crc32(copy.subarray(start + 4, end)));
    start = end + 4;
  }
  return copy;
}

export function join(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.concat(parts));
}
