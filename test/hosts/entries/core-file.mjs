// As core.mjs, for bundlers that give the address of a file as its default export.
import { AutoImageProcessor, AutoModelForImageClassification, loadKernels } from 'dinov2-wasm/core';
import kernels from 'dinov2-wasm/kernels/simd.wasm';
import { computeFetched } from '../program.mjs';

globalThis.onPage = async (request) => {
  await loadKernels({ simd: new URL(kernels, location.href) });
  return computeFetched({ AutoImageProcessor, AutoModelForImageClassification }, location.href, request);
};
