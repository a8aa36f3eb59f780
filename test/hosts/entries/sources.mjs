// For Node: dinov2-wasm/core from each kind of source. Prints what each gave: the build and a number, or the error.

import { readFileSync } from 'node:fs';
import { Dinov2Model, loadKernels, Tensor } from 'dinov2-wasm/core';

const path = (build) => new URL(`../node_modules/dinov2-wasm/dist/kernels/${build}.wasm`, import.meta.url);
const bytes = (build) => readFileSync(path(build));
const type = { headers: { 'content-type': 'application/wasm' } };
const [server] = process.argv.slice(2);

const SOURCES = {
  nothing: undefined,
  module: { simd: new WebAssembly.Module(bytes('simd')) },
  bytes: { simd: bytes('simd') },
  buffer: { simd: new Uint8Array(bytes('simd')).buffer },
  response: { simd: new Response(bytes('simd'), type) },
  promise: { simd: Promise.resolve(new Response(bytes('simd'), type)) },
  url: { simd: new URL('simd.wasm', server) },
  both: { simd: new URL('simd.wasm', server), relaxed: new URL('relaxed.wasm', server) },
  text: { simd: new URL('wasm.d.ts', server) },
  missing: { simd: new URL('none.wasm', server) },
  unreachable: { simd: new URL('http://localhost:1/simd.wasm') },
  damaged: { simd: bytes('simd').subarray(0, 1000) },
  other: { simd: Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0) },
  none: {},
  number: { simd: 5 },
};

const config = { hidden_size: 64, num_attention_heads: 1, num_hidden_layers: 1, image_size: 28, patch_size: 14 };
const results = {};
for (const [name, sources] of Object.entries(SOURCES)) {
  try {
    if (sources) await loadKernels(sources);
    const model = new Dinov2Model(config, { build: name === 'both' ? 'auto' : 'simd' });
    const { pooler_output } = await model(new Tensor('float32', new Float32Array(3 * 28 * 28).fill(0.5), [1, 3, 28, 28]));
    results[name] = { build: model.build, value: pooler_output.data[0] };
  } catch (error) {
    results[name] = { error: error.name, message: error.message };
  }
}
console.log(JSON.stringify(results));
