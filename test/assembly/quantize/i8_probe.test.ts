import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { kernelModule } from '../../../src/runtime/builds.ts';
import { instantiate, type Kernels } from '../../../src/runtime/kernels.ts';
import { testKernels } from '../helpers.ts';

const kernels = (build: 'simd' | 'relaxed'): Kernels => instantiate(kernelModule(build, 'own'), new WebAssembly.Memory({ initial: 1 }));

testKernels(
  'i8_probe is the sum of four products of a signed byte by one of 0 to 127, or 0 where there is no such instruction',
  (bench) => {
    const { i8_probe } = kernels(bench.engine.build);
    for (const w of [-128, -127, -1, 0, 1, 5, 127]) {
      for (const x of [0, 1, 2, 64, 127]) assert.is(i8_probe(w, x), bench.engine.build === 'simd' ? 0 : 4 * w * x + 0, `${w} by ${x}`);
    }
  },
);

test.run();
