import { HostError } from '../errors.ts';
import type { KernelProvider } from './kernels.ts';
import { sharedForm } from './sharedForm.ts';

/** Compiles a build, each form when it is first asked for. */
export function compiledOnce(bytes: () => Uint8Array<ArrayBuffer>): Required<KernelProvider> {
  return { own: once(() => compileKernels(bytes())), shared: once(() => compileKernels(sharedForm(bytes()))) };
}

/** Also one of another realm. */
export function isModule(x: unknown): boolean {
  return Object.prototype.toString.call(x) === '[object WebAssembly.Module]';
}

export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const characters = atob(text);
  const bytes = new Uint8Array(characters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
  return bytes;
}

function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

/** @throws {HostError} where the host refuses, saying what to do */
export function compileKernels(bytes: BufferSource): WebAssembly.Module {
  try {
    return new WebAssembly.Module(bytes);
  } catch (cause) {
    throw cannotCompile(cause);
  }
}

export function cannotCompile(cause: unknown): HostError {
  return new HostError(
    `kernels: expected a host that compiles WebAssembly, found one that refuses (${(cause as Error).message}): a page's content security policy needs 'wasm-unsafe-eval' in script-src; an edge runtime takes modules compiled ahead: import them, and give them to loadKernels() of dinov2-wasm/core`,
    { cause },
  );
}
