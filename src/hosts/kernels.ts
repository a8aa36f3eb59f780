import type { KernelBuild } from './host.ts';

/** One build of the kernels, compiled when it is first asked for. */
export interface KernelProvider {
  /** For a memory of its own. */
  own(): WebAssembly.Module;
  /** For a memory that threads share; not there where the bytes of the build are unknown. */
  shared?(): WebAssembly.Module;
}

/** The kernels of this process: there by importing an entry of the package that brings them, or given by its user. */
const providers = new Map<KernelBuild, KernelProvider>();

export function provideKernels(build: KernelBuild, provider: KernelProvider): void {
  providers.set(build, provider);
}

/** What provides a build of the kernels; undefined where nothing does. */
export function kernelProvider(build: KernelBuild): KernelProvider | undefined {
  return providers.get(build);
}
