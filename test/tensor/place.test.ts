import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, ShapeError } from '../../src/errors.ts';
import { Engine } from '../../src/runtime/engine.ts';
import { add, Tensor } from '../../src/tensor/index.ts';
import { addressOf, checkDims, copyTo, fetch, keep, owned, place, placed } from '../../src/tensor/place.ts';
import { refuses } from '../helpers.ts';

const ONE_TWO = new Tensor('float32', [1, 2], [2]);

test('a placed tensor is a copy, and placing it again is none', () => {
  const engine = new Engine();
  const there = placed(engine, ONE_TWO);
  assert.equal([there.tolist(), there.dims, there.dtype], [[1, 2], [2], 'float32']);
  assert.is(placed(engine, there), there);
  engine.write(addressOf(there), Float32Array.of(9));
  assert.equal(
    [there.tolist(), ONE_TWO.tolist()],
    [
      [9, 2],
      [1, 2],
    ],
  );
});

test('what is kept of a scope moves to its front, over what it was made of', () => {
  const engine = new Engine();
  const before = engine.end;
  const numbers = Float32Array.from({ length: 100_000 }, (_, i) => i);
  const kept = keep(engine, () => {
    place(engine, 'float32', [1000]);
    return placed(engine, new Tensor('float32', numbers, [50, 2000]));
  });
  assert.equal([kept.dims, addressOf(kept), engine.end], [[50, 2000], before, before + numbers.byteLength]);
  assert.equal(kept.data, numbers);
  assert.equal(keep(engine, () => kept).data, numbers);
});

test('a tensor of another engine is refused with what to do', async () => {
  const there = placed(new Engine(), ONE_TWO);
  await refuses(() => placed(new Engine(), there), ArgumentError, 'of another', 'clone()');
  await refuses(() => add(there, placed(new Engine(), ONE_TWO)), ArgumentError, 'of another');
});

test('a tensor that owns its data has no address', async () => {
  await refuses(() => addressOf(ONE_TWO), ArgumentError, 'expected one in engine memory');
});

test('operations on places stay in the engine, those on tensors that own their data give such', () => {
  const engine = new Engine();
  const sum = add(placed(engine, ONE_TWO), ONE_TWO);
  assert.is(sum.place?.engine, engine);
  assert.equal(sum.tolist(), [2, 4]);
  assert.is(add(ONE_TWO, ONE_TWO).place, undefined);
});

test('a result can be put at a given place, in place too', async () => {
  const engine = new Engine();
  const x = placed(engine, ONE_TWO);
  assert.is(add(x, x, { out: x }), x);
  assert.equal(x.tolist(), [2, 4]);
  await refuses(() => add(x, x, { out: place(engine, 'float32', [3]) }), ShapeError, 'out: expected [2], found [3]');
  await refuses(() => add(ONE_TWO, ONE_TWO, { out: owned([2]) }), ArgumentError, 'expected one in engine memory');
});

test('fetch and copyTo move the elements of views', () => {
  const engine = new Engine();
  const x = placed(engine, new Tensor('float32', [1, 2, 3, 4], [2, 2]));
  const y = place(engine, 'float32', [2, 2]);
  copyTo(y.at(0), x.at(1));
  copyTo(y.at(1), x.at(0));
  const target = owned([2, 2]);
  fetch(y.at(0), target.at(1));
  assert.equal(target.tolist(), [
    [0, 0],
    [3, 4],
  ]);
});

test('dimensions are compared with -1 standing for any, and shown both', async () => {
  checkDims('x', [-1, 2], [7, 2]);
  checkDims('x', [], []);
  await refuses(() => checkDims('x', [-1, 2], [7, 3]), ShapeError, 'x: expected [*, 2], found [7, 3]');
  await refuses(() => checkDims('x', [-1], []), ShapeError, 'x: expected [*], found []');
});

test.run();
