// Provides the kernels out of strings: nothing that a bundler could lose, a policy of content forbid to fetch, or a host without files lack.
import { base64 as relaxed } from '../../../dist/kernels/relaxed.js'; // the same place from src/ and from dist/
import { base64 as simd } from '../../../dist/kernels/simd.js';
import { compiledOnce, fromBase64 } from '../compile.ts';
import { provideKernels } from '../kernels.ts';

provideKernels(
  'simd',
  compiledOnce(() => fromBase64(simd)),
);
provideKernels(
  'relaxed',
  compiledOnce(() => fromBase64(relaxed)),
);
