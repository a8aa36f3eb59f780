// Provides the kernels where the host compiles WebAssembly at deployment only, out of imported modules.
import relaxed from '../../../dist/kernels/relaxed.wasm'; // the same place from src/ and from dist/
import simd from '../../../dist/kernels/simd.wasm';
import { provideKernels } from '../kernels.ts';

provideKernels('simd', { own: () => simd });
provideKernels('relaxed', { own: () => relaxed });
