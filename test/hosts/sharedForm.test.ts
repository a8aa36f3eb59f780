import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { HostError } from '../../src/errors.ts';
import { sharedForm } from '../../src/hosts/sharedForm.ts';
import { kernelFile } from '../assembly/helpers.ts';
import { refuses } from '../helpers.ts';

test('the shared form takes a shared memory and no other, and exports the same', () => {
  const own = kernelFile('simd');
  const [first, shared] = [new WebAssembly.Module(own as BufferSource), new WebAssembly.Module(sharedForm(own))];
  assert.equal(WebAssembly.Module.exports(shared), WebAssembly.Module.exports(first));
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536, shared: true });
  new WebAssembly.Instance(shared, { env: { memory } });
  assert.throws(() => new WebAssembly.Instance(shared, { env: { memory: new WebAssembly.Memory({ initial: 1 }) } }));
  assert.throws(() => new WebAssembly.Instance(first, { env: { memory } }));
});

test('bytes of another module, cut off or none are refused', async () => {
  const own = kernelFile('simd');
  for (const bytes of [new Uint8Array(0), own.subarray(0, 8), own.subarray(0, 100), sharedForm(own), new Uint8Array(40).fill(255)]) {
    await refuses(() => sharedForm(bytes), HostError, 'imports a memory of one page');
  }
});

test.run();
