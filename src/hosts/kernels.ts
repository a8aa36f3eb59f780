import type { KernelBuild } from './host.ts';

/** The files of kernels: each build, for a memory of its own or for one that threads share. */
export type KernelFile = KernelBuild | `${KernelBuild}-threads`;

/** Gives a compiled file of kernels; compiles it when it is first asked. */
export type KernelProvider = () => WebAssembly.Module;

/** The kernels of this process: there by importing an entry of the package that brings them, or given by its user. */
const providers = new Map<KernelFile, KernelProvider>();

export function provideKernels(file: KernelFile, provider: KernelProvider): void {
  providers.set(file, provider);
}

/** What provides a file of kernels; undefined where nothing does. */
export function kernelProvider(file: KernelFile): KernelProvider | undefined {
  return providers.get(file);
}
