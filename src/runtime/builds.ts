import { host } from '#host';
import { ArgumentError, HostError, NotFoundError } from '../errors.ts';
import { cannotCompile, compiledOnce, isModule } from '../hosts/compile.ts';
import type { KernelBuild } from '../hosts/host.ts';
import { type KernelProvider, kernelProvider, provideKernels } from '../hosts/kernels.ts';
import { hasRelaxedSimd, hasSimd } from './features.ts';
import type { KernelName } from './kernels.ts';

/** One of the kernels, by which a module of them is known. */
const EXPORTED: KernelName = 'f32_gemm';
const FILES = 'dinov2-wasm/kernels/';

/** A build of the kernels: compiled, its bytes, a server's answer with them, or where to fetch them. */
export type KernelSource = WebAssembly.Module | BufferSource | Response | URL;

/** Both builds, or one of them. The files are `dinov2-wasm/kernels/simd.wasm` and `dinov2-wasm/kernels/relaxed.wasm`. */
export type KernelSources = { readonly [build in KernelBuild]?: KernelSource | PromiseLike<KernelSource> };

/**
 * Gives the kernels to the library where it has none of its own, as the entry `dinov2-wasm/core`: the relaxed build if it is given and the
 * host has relaxed SIMD, else the baseline. The other is neither fetched nor compiled. To be awaited before anything is computed.
 * @returns the build that was taken
 * @throws {HostError} when the host cannot compile it or has no SIMD, and for a module of something else
 * @throws {NotFoundError} when there is no answer from the URL, or one that is no WebAssembly
 * @throws {ArgumentError} when no build is given, or something that is no source
 */
export async function loadKernels(sources: KernelSources): Promise<KernelBuild> {
  checkSimd();
  const build = sources.relaxed !== undefined && hasRelaxedSimd() ? 'relaxed' : 'simd';
  const source = await sources[build];
  if (source === undefined) {
    throw new ArgumentError(`loadKernels: expected { simd, relaxed } or one of them that this host can use, found ${Object.keys(sources)}`);
  }
  const provider = await compile(build, source);
  const module = provider.own();
  if (!WebAssembly.Module.exports(module).some(({ name }) => name === EXPORTED)) {
    throw new HostError(
      `loadKernels: ${build}: expected a module of the kernels, which exports ${EXPORTED}, found another: give ${FILES}${build}.wasm`,
    );
  }
  provideKernels(build, provider);
  return build;
}

/** @throws {ArgumentError} on an unknown build; {HostError} where the host has not what it needs, or nothing provides it */
export function chooseBuild(build: KernelBuild | 'auto'): KernelBuild {
  if (build !== 'auto' && build !== 'simd' && build !== 'relaxed') {
    throw new ArgumentError(`build: expected "auto", "simd" or "relaxed", found ${JSON.stringify(build)}`);
  }
  checkSimd();
  if (build === 'relaxed' && !hasRelaxedSimd()) {
    throw new HostError(`${host.name}: build "relaxed" needs relaxed SIMD, which this host does not have: use build "auto" or "simd"`);
  }
  if (build !== 'auto') return build;
  return hasRelaxedSimd() && (kernelProvider('relaxed') || !kernelProvider('simd')) ? 'relaxed' : 'simd';
}

/**
 * A compiled build of the kernels, for a memory of its own or for one that threads share.
 * @throws {HostError} when nothing provides it, or the host refuses to compile
 */
export function kernelModule(build: KernelBuild, memory: 'own' | 'shared'): WebAssembly.Module {
  const provider = kernelProvider(build);
  if (!provider) {
    throw new HostError(
      `kernels: expected ${build}, found none: import "dinov2-wasm", which brings the kernels, or await loadKernels() of "dinov2-wasm/core" first`,
    );
  }
  if (memory === 'own') return provider.own();
  if (!provider.shared) {
    throw new HostError(
      `kernels: expected the bytes of ${build}, of which threads get a form of their own, found a compiled module: give loadKernels() bytes, a Response or a URL, or use one thread`,
    );
  }
  return provider.shared();
}

function checkSimd(): void {
  if (!hasSimd())
    throw new HostError(
      `${host.name}: expected a host with WebAssembly SIMD, found none: use a newer version, or a mode that allows WebAssembly`,
    );
}

async function compile(build: KernelBuild, source: KernelSource): Promise<KernelProvider> {
  if (isModule(source)) return { own: () => source as WebAssembly.Module };
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) {
    const bytes = copyOf(source as BufferSource); // what the caller does to it later is of no effect
    return compiledOnce(() => bytes);
  }
  const response = source instanceof URL ? await request(source) : source;
  if (!(response instanceof Response)) {
    throw new ArgumentError(`loadKernels: ${build}: expected a WebAssembly.Module, bytes, Response or URL, found ${typeof source}`);
  }
  const name = `kernels, build "${build}"${response.url && `: ${response.url}`}`;
  if (!response.ok)
    throw new NotFoundError(`${name}: expected WebAssembly, found HTTP status ${response.status}: serve ${FILES}${build}.wasm there`);
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (String.fromCharCode(...bytes.subarray(0, 4)) !== '\0asm') {
    throw new NotFoundError(
      `${name}: expected WebAssembly, found another file (${response.headers.get('content-type')}): serve ${FILES}${build}.wasm there`,
    );
  }
  const module = await WebAssembly.compile(bytes).catch((cause: unknown) => {
    throw cannotCompile(cause);
  });
  return { ...compiledOnce(() => bytes), own: () => module };
}

function copyOf(source: BufferSource): Uint8Array<ArrayBuffer> {
  return ArrayBuffer.isView(source)
    ? new Uint8Array(source.buffer, source.byteOffset, source.byteLength).slice()
    : new Uint8Array(source).slice();
}

async function request(url: URL): Promise<Response> {
  try {
    return await fetch(url);
  } catch (cause) {
    throw new NotFoundError(
      `${url}: expected WebAssembly, found no answer (${(cause as Error).message}): see whether the server runs and CORS and the content security policy (connect-src) allow it, or pass the bytes`,
      { cause },
    );
  }
}
