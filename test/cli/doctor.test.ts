import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Diagnosis } from '../../src/index.ts';
import { hasRelaxedSimd } from '../../src/runtime/features.ts';
import { dinov2 } from './helpers.ts';

test('dinov2 doctor tells what the host has, what was chosen, and how fast that is', async () => {
  const { code, stdout } = await dinov2(['doctor', '--json']);
  assert.is(code, 0);
  const { simd, relaxedSimd, build, integerForm, speeds } = JSON.parse(stdout) as Diagnosis;
  assert.equal([simd, relaxedSimd, build], [true, hasRelaxedSimd(), hasRelaxedSimd() ? 'relaxed' : 'simd']);
  assert.ok(['pairs', 'unsigned', 'signed'].includes(integerForm));
  assert.equal(
    speeds.map((speed) => speed.build),
    hasRelaxedSimd() ? ['simd', 'relaxed'] : ['simd'],
  );
  assert.ok(speeds.every(({ float32, int8 }) => float32 > 0.01 && float32 < 1e5 && int8 > 0.01 && int8 < 1e5));
  assert.match((await dinov2(['doctor'])).stdout, new RegExp(`kernels +${build}`));
});

test.run();
