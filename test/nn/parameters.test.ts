import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, ShapeError } from '../../src/errors.ts';
import { Parameters } from '../../src/nn/parameters.ts';
import { Engine } from '../../src/runtime/engine.ts';
import { placed } from '../../src/tensor/place.ts';
import { refuses } from '../helpers.ts';
import { assertSameBits } from '../reference/compare.ts';
import { randomTensor } from '../tensor/helpers.ts';

const declare = (): { engine: Engine; p: Parameters } => {
  const engine = new Engine();
  const p = new Parameters(engine);
  p.tensor('token', [1, 5], 'normal');
  p.at('norm').tensor('bias', [5], 0.5);
  p.at('patch').at('projection').matrix(3, [2, 2, 1], { bias: true });
  p.at('fc').matrix(3, [4], { bias: false });
  return { engine, p };
};

test('parameters are listed in the order in which they were declared, under their full names', () => {
  assert.equal(
    declare().p.all.map(({ name, dims, initial }) => [name, dims, initial]),
    [
      ['token', [1, 5], 'normal'],
      ['norm.bias', [5], 0.5],
      ['patch.projection.weight', [3, 2, 2, 1], 'normal'],
      ['patch.projection.bias', [3], 0],
      ['fc.weight', [3, 4], 'normal'],
    ],
  );
});

test('declaring takes no memory, allocating takes it once', () => {
  const { engine, p } = declare();
  const next = (): number => engine.scope(() => engine.allocate(1));
  const before = next();
  for (const { allocate } of p.all) allocate();
  const after = next();
  assert.ok(after > before);
  for (const { allocate } of p.all) allocate();
  assert.is(next(), after);
});

test('every parameter reads what was loaded, in whichever order, from outside or from the engine', () => {
  for (const reversed of [false, true]) {
    for (const inside of [false, true]) {
      const { engine, p } = declare();
      for (const { allocate } of p.all) allocate();
      const values = new Map(p.all.map(({ name, dims }, i) => [name, randomTensor(dims, i)]));
      for (const { name, load } of reversed ? p.all.toReversed() : p.all) {
        const value = values.get(name) as ReturnType<typeof randomTensor>;
        engine.scope(() => load(inside ? placed(engine, value) : value));
      }
      for (const { name, dims, read } of p.all) {
        assert.equal(read().dims, dims);
        assertSameBits(read().data, values.get(name)?.data as Float32Array, name);
      }
    }
  }
});

test('loading again replaces what was loaded', () => {
  const { p } = declare();
  for (const { allocate } of p.all) allocate();
  for (const seed of [1, 2]) {
    for (const { name, dims, load, read } of p.all) {
      const value = randomTensor(dims, seed);
      load(value);
      assertSameBits(read().data, value.data, name);
    }
  }
});

test('a value of other dimensions, or a use before memory is taken, is refused with the name', async () => {
  const { p } = declare();
  for (const { name, dims, load, read } of p.all) {
    await refuses(() => load(randomTensor([7, 7], 1)), ShapeError, `weight "${name}": expected [${dims.join(', ')}], found [7, 7]`);
    await refuses(read, ArgumentError, 'used before memory was taken for it');
  }
});

test.run();
