import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { test } from 'uvu';

import type { KernelBuild } from '../../src/hosts/host.ts';
import { sharedForm } from '../../src/hosts/sharedForm.ts';
import { Engine } from '../../src/runtime/engine.ts';
import { hasRelaxedSimd } from '../../src/runtime/features.ts';
import type { Address } from '../../src/runtime/memory.ts';
import { assertSameBits } from '../reference/compare.ts';

fc.configureGlobal({ includeErrorInReport: true }); // uvu does not show the cause of an error

const GUARD = 64;
const UNTOUCHED = 0xa5;

/** Memory in which one call of a kernel is tried: what it must not write to is watched. */
export class Bench {
  readonly engine: Engine;
  #watched: { address: Address; bytes: Uint8Array; what: string }[] = [];

  constructor(build: KernelBuild) {
    this.engine = new Engine({ build });
  }

  /** Runs one trial; its memory is given back, and watched places are looked at. */
  try<T>(trial: () => T): T {
    return this.engine.scope(() => {
      this.#watched = [];
      const result = trial();
      for (const { address, bytes, what } of this.#watched) assertSameBits(this.engine.view(address, bytes.length), bytes, what);
      return result;
    });
  }

  /** Places data that the kernel only reads, `shift` bytes off a multiple of 64. */
  input(data: ArrayBufferView, { shift = 0 }: { shift?: number } = {}): Address {
    const address = this.output(data, { shift });
    this.#watch(address, new Uint8Array(data.buffer, data.byteOffset, data.byteLength), 'an input');
    return address;
  }

  /**
   * The same, ending where the memory ends, so that a read behind it traps. To be called last: what comes later makes the memory larger.
   */
  inputAtEnd(data: ArrayBufferView): Address {
    const { engine } = this;
    engine.allocate(data.byteLength);
    engine.allocate(engine.reserved - engine.allocate(0)); // the rest of the memory
    const address = engine.reserved - data.byteLength;
    this.#watch(address, new Uint8Array(data.buffer, data.byteOffset, data.byteLength), 'an input');
    return address;
  }

  /** Room for a result that starts with what `data` has; the 64 bytes before and behind it are watched. */
  output(data: ArrayBufferView, { shift = 0 }: { shift?: number } = {}): Address {
    const address = this.engine.allocate(GUARD + shift + data.byteLength + GUARD) + GUARD + shift;
    const guard = new Uint8Array(GUARD).fill(UNTOUCHED);
    this.#watch(address - GUARD, guard, 'in front of a block');
    this.#watch(address + data.byteLength, guard, 'behind a block');
    this.engine.write(address, data);
    return address;
  }

  /** Room for `count` floats, each with the same bits that no result has. */
  room(count: number, options?: { shift?: number }): Address {
    return this.output(untouched(count), options);
  }

  read(address: Address, count: number): Float32Array<ArrayBuffer> {
    const floats = new Float32Array(count);
    this.engine.read(address, floats);
    return floats;
  }

  #watch(address: Address, bytes: Uint8Array, what: string): void {
    const kept = bytes.slice();
    this.engine.write(address, kept);
    this.#watched.push({ address, bytes: kept, what });
  }
}

/** What {@link Bench.room} holds. */
export function untouched(count: number): Float32Array<ArrayBuffer> {
  return new Float32Array(new Uint8Array(4 * count).fill(UNTOUCHED).buffer);
}

const benches = new Map<KernelBuild, Bench>();

/** Registers a test for each build of the kernels; where the host lacks relaxed SIMD its test is skipped. */
export function testKernels(name: string, body: (bench: Bench) => void): void {
  for (const build of ['simd', 'relaxed'] as const) {
    const register = build === 'simd' || hasRelaxedSimd() ? test : test.skip;
    register(`${build}: ${name}`, () => {
      const bench = benches.get(build) ?? new Bench(build);
      benches.set(build, bench);
      body(bench);
    });
  }
}

/** Bytes that off a multiple of 64 an array of floats may begin. */
export const SHIFTS = [0, 4, 16, 36] as const;

/** The file of a build. */
export function kernelFile(build: KernelBuild, memory: 'own' | 'shared' = 'own'): Uint8Array {
  const own = readFileSync(new URL(`../../dist/kernels/${build}.wasm`, import.meta.url));
  return memory === 'shared' ? sharedForm(own) : own;
}
