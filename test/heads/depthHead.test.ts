import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { DepthAnythingHead, type DepthAnythingHeadOptions, DptDepthHead } from '../../src/heads/depthHead.ts';
import { add } from '../../src/tensor/ops.ts';
import type { Float32 } from '../../src/tensor/place.ts';
import { build } from '../nn/helpers.ts';
import { assertWithin } from '../reference/compare.ts';

/** The depth of features up to `size`, which is a power of 2. */
function depth(options: Partial<DepthAnythingHeadOptions>, size = 1): Float32 {
  const { layer, place } = build((p) => new DepthAnythingHead(p, 6, { hiddenSize: 5, kind: 'relative', maxDepth: 1, ...options }));
  const x = place([4, 5, 6], 20);
  for (let i = 1; i < size; i *= 2) add(x, x, { out: x });
  return layer.forward({ x, enlargeTo: [4, 5] }, [9, 11]);
}

test('metric depth is the largest depth times the sigmoid of what relative depth cuts off at zero', () => {
  const relative = depth({});
  assert.equal(relative.dims, [9, 11]);
  const seen = [...relative.data.keys()].filter((i) => (relative.data[i] as number) > 0);
  assert.ok(seen.length > 5 && seen.length < relative.size, `${seen.length} above zero`);
  const metric = depth({ kind: 'metric', maxDepth: 20 });
  const found = seen.map((i) => metric.data[i] as number);
  const expected = seen.map((i) => 20 / (1 + Math.exp(-(relative.data[i] as number))));
  assertWithin(found, expected, 1e-5);
  assert.ok([...metric.data.keys()].every((i) => seen.includes(i) === (metric.data[i] as number) > 10));
});

test('far out metric depth is zero or the largest, and never no number', () => {
  const { data } = depth({ kind: 'metric', maxDepth: 80 }, 2 ** 20);
  assert.ok(data.every((x) => x >= 0 && x <= 80));
  assert.ok(data.includes(80) && data.includes(0));
});

test('the head of DPT enlarges twice and ends at zero', () => {
  for (const projection of [false, true]) {
    const { layer, place } = build((p) => new DptDepthHead(p, 6, { projection }));
    const found = layer.forward({ x: place([2, 3, 6], 20), enlargeTo: [4, 5] });
    assert.equal(found.dims, [8, 10]);
    assert.ok(found.data.every((x) => x >= 0));
  }
});

test.run();
