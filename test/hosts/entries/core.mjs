// For browsers: dinov2-wasm/core with one build of the kernels, a file of its own in the bundle.
import { AutoImageProcessor, AutoModelForImageClassification, loadKernels } from 'dinov2-wasm/core';
import { computeFetched } from '../program.mjs';

globalThis.onPage = async (request) => {
  await loadKernels({ simd: new URL('dinov2-wasm/kernels/simd.wasm', import.meta.url) });
  return computeFetched({ AutoImageProcessor, AutoModelForImageClassification }, location.href, request);
};
