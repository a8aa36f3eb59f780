import type { Hash } from './host.ts';

/** Bytes that are mixed in at a time. */
const BLOCK = 64;

/**
 * SHA-1 and SHA-256 (FIPS 180-4) for hosts without a digest of their own that takes bytes piece by piece: crypto.subtle wants them all at
 * once.
 */
export function sha(algorithm: 'sha1' | 'sha256'): Hash {
  return algorithm === 'sha1' ? new Sha(SHA1_INITIAL, mixSha1, 80) : new Sha(SHA256_INITIAL, mixSha256, 64);
}

/** Takes the schedule, of which the first 16 words are the block, into the state. */
type Mix = (state: Int32Array, schedule: Int32Array) => void;

class Sha implements Hash {
  readonly #state: Int32Array;
  readonly #mix: Mix;
  readonly #schedule: Int32Array;
  readonly #block = new Uint8Array(BLOCK);
  readonly #words = new DataView(this.#block.buffer);
  #length = 0;

  constructor(initial: readonly number[], mix: Mix, rounds: number) {
    this.#state = Int32Array.from(initial);
    this.#mix = mix;
    this.#schedule = new Int32Array(rounds);
  }

  update(bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let at = 0; at < bytes.length; ) {
      const filled = this.#length % BLOCK;
      const taken = Math.min(BLOCK - filled, bytes.length - at);
      if (taken === BLOCK) this.#take(view, at);
      else {
        this.#block.set(bytes.subarray(at, at + taken), filled);
        if (filled + taken === BLOCK) this.#take(this.#words, 0);
      }
      at += taken;
      this.#length += taken;
    }
  }

  digest(): string {
    const bits = this.#length * 8;
    const padding = new Uint8Array(((BLOCK + 55 - (this.#length % BLOCK)) % BLOCK) + 9); // up to a whole block: a bit, zeros, the length
    padding[0] = 0x80;
    const view = new DataView(padding.buffer, padding.length - 8);
    view.setUint32(0, Math.floor(bits / 2 ** 32));
    view.setUint32(4, bits >>> 0);
    this.update(padding);
    return Array.from(this.#state, (word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
  }

  #take(words: DataView, at: number): void {
    for (let i = 0; i < 16; i++) this.#schedule[i] = words.getInt32(at + 4 * i);
    this.#mix(this.#state, this.#schedule);
  }
}

const PRIMES = primes(64);
/** The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
const SHA256_CONSTANTS = Int32Array.from(PRIMES, (prime) => fraction(Math.cbrt(prime)));
/** The same of the square roots of the first 8. */
const SHA256_INITIAL = PRIMES.slice(0, 8).map((prime) => fraction(Math.sqrt(prime)));
const SHA1_INITIAL = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0];
/** Of each 20 rounds: square roots of 2, 3, 5 and 10, times 2^30. */
const SHA1_CONSTANTS = [2, 3, 5, 10].map((x) => Math.floor(Math.sqrt(x) * 2 ** 30));

function mixSha256(state: Int32Array, w: Int32Array): void {
  for (let i = 16; i < 64; i++) {
    const x = at(w, i - 15);
    const y = at(w, i - 2);
    const s0 = rotate(x, 7) ^ rotate(x, 18) ^ (x >>> 3);
    const s1 = rotate(y, 17) ^ rotate(y, 19) ^ (y >>> 10);
    w[i] = (at(w, i - 16) + s0 + at(w, i - 7) + s1) | 0;
  }
  let [a, b, c, d, e, f, g, h] = [
    at(state, 0),
    at(state, 1),
    at(state, 2),
    at(state, 3),
    at(state, 4),
    at(state, 5),
    at(state, 6),
    at(state, 7),
  ];
  for (let i = 0; i < 64; i++) {
    const choice = (e & f) ^ (~e & g);
    const s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
    const t1 = (h + s1 + choice + at(SHA256_CONSTANTS, i) + at(w, i)) | 0;
    const majority = (a & b) ^ (a & c) ^ (b & c);
    const s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + s0 + majority) | 0;
  }
  add(state, [a, b, c, d, e, f, g, h]);
}

function mixSha1(state: Int32Array, w: Int32Array): void {
  for (let i = 16; i < 80; i++) {
    const word = at(w, i - 3) ^ at(w, i - 8) ^ at(w, i - 14) ^ at(w, i - 16);
    w[i] = rotate(word, 31);
  }
  let [a, b, c, d, e] = [at(state, 0), at(state, 1), at(state, 2), at(state, 3), at(state, 4)];
  for (let i = 0; i < 80; i++) {
    const part = Math.floor(i / 20);
    const f = part === 0 ? (b & c) | (~b & d) : part === 2 ? (b & c) | (b & d) | (c & d) : b ^ c ^ d;
    const next = (rotate(a, 27) + f + e + (SHA1_CONSTANTS[part] as number) + at(w, i)) | 0;
    e = d;
    d = c;
    c = rotate(b, 2);
    b = a;
    a = next;
  }
  add(state, [a, b, c, d, e]);
}

function add(state: Int32Array, values: readonly number[]): void {
  for (const [i, value] of values.entries()) state[i] = (state[i] as number) + value;
}

function at(words: Int32Array, i: number): number {
  return words[i] as number;
}

/** To the right. */
function rotate(x: number, bits: number): number {
  return (x >>> bits) | (x << (32 - bits));
}

function fraction(x: number): number {
  return Math.floor((x - Math.floor(x)) * 2 ** 32) | 0;
}

function primes(count: number): number[] {
  const found: number[] = [];
  for (let n = 2; found.length < count; n++) if (found.every((prime) => n % prime !== 0)) found.push(n);
  return found;
}
