import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { Dinov2Error } from '../src/errors.ts';
import type { AtomicWriter } from '../src/hosts/host.ts';

export function goldenPath(name: string): string {
  return new URL(`./goldens/${name}`, import.meta.url).pathname;
}

export function golden(name: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(goldenPath(name)));
}

export async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'dinov2-'));
  try {
    await body(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Waits for something that other threads or processes bring about; whether it came about in time. */
export async function comesTrue(condition: () => boolean | Promise<boolean>, milliseconds = 20_000): Promise<boolean> {
  const end = performance.now() + milliseconds;
  while (!(await condition())) {
    if (performance.now() > end) return false;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return true;
}

type Refused = new (...args: never[]) => Error;

/** Awaits an error of exactly this class whose message has all the parts. */
export async function refuses(body: () => unknown, kind: Refused, ...parts: string[]): Promise<void> {
  let error: unknown;
  try {
    await body();
  } catch (caught) {
    error = caught;
  }
  assert.is((error as Error | undefined)?.constructor.name, kind.name, `expected ${kind.name}, found ${error}`);
  for (const part of parts) assert.ok((error as Error).message.includes(part), `expected "${part}" in "${(error as Error).message}"`);
}

/** What `body` gives, or undefined when it throws one of the library's errors; any other error fails the test. */
export async function valueOrNamedError<T>(body: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await body();
  } catch (error) {
    if (error instanceof Dinov2Error) return undefined;
    throw error;
  }
}

/** A writer into memory. */
export class MemoryWriter implements AtomicWriter {
  readonly #pieces: Uint8Array[] = [];

  async write(bytes: Uint8Array): Promise<void> {
    this.#pieces.push(bytes.slice());
  }

  async commit(): Promise<void> {}

  async abort(): Promise<void> {}

  get bytes(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(Buffer.concat(this.#pieces));
  }
}
