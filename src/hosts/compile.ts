import { HostError } from '../errors.ts';
import type { KernelProvider } from './kernels.ts';

/** Compiles bytes in base64 when they are first asked for. */
export function compiledOnce(base64: string): KernelProvider {
  let module: WebAssembly.Module | undefined;
  return () => {
    module ??= compileKernels(Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)));
    return module;
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
