// As inline.ts, for hosts that have threads too.
import './inline.ts';
import { base64 as relaxed } from '../../../dist/kernels/relaxed-threads.js';
import { base64 as simd } from '../../../dist/kernels/simd-threads.js';
import { compiledOnce } from '../compile.ts';
import { provideKernels } from '../kernels.ts';

provideKernels('simd-threads', compiledOnce(simd));
provideKernels('relaxed-threads', compiledOnce(relaxed));
