import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Callable } from '../src/callable.ts';

class Scale extends Callable<[x: number], number> {
  readonly factor: number;
  readonly #offset: number;

  constructor(factor: number, offset: number) {
    super();
    this.factor = factor;
    this.#offset = offset;
  }

  override _call(x: number): number {
    return this.factor * x + this.#offset;
  }
}

class Double extends Scale {
  constructor() {
    super(2, 0);
  }

  override _call(x: number): number {
    return super._call(x) + 0.5;
  }
}

test('an instance is a function that runs its own _call', () => {
  const triple = new Scale(3, 1);
  const double = new Double();
  assert.is(triple(5), 16);
  assert.is(double(5), 10.5);
  assert.equal([1, 2].map(triple), [4, 7]);
  assert.is(triple.call(undefined, 1), 4);
});

test('an instance is of its classes, with their fields', () => {
  const double = new Double();
  assert.type(double, 'function');
  assert.instance(double, Double);
  assert.instance(double, Scale);
  assert.instance(double, Callable);
  assert.instance(double, Function);
  assert.is(double.factor, 2);
});

test.run();
