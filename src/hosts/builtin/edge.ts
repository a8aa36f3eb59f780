// As workerd.ts, in the words of Vercel's edge functions.
import relaxed from '../../../dist/kernels/relaxed.wasm?module'; // the same place from src/ and from dist/
import simd from '../../../dist/kernels/simd.wasm?module';
import { provideKernels } from '../kernels.ts';

provideKernels('simd', { own: () => simd });
provideKernels('relaxed', { own: () => relaxed });
