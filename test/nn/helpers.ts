import { Parameters } from '../../src/nn/parameters.ts';
import { Engine } from '../../src/runtime/engine.ts';
import { type Float32, placed } from '../../src/tensor/place.ts';
import { randomTensor } from '../tensor/helpers.ts';

export interface Built<T> {
  readonly layer: T;
  /** What was loaded into each parameter. */
  weight(name: string): Float32;
  /** Puts random numbers where the layer takes its input. */
  place(dims: readonly number[], seed: number): Float32;
}

/** A layer with random weights on an engine of its own. */
export function build<T>(make: (p: Parameters) => T): Built<T> {
  const engine = new Engine();
  const parameters = new Parameters(engine);
  const layer = make(parameters);
  const weights = new Map(parameters.all.map(({ name, dims }, i) => [name, randomTensor(dims, i)]));
  for (const parameter of parameters.all) {
    parameter.allocate();
    parameter.load(weights.get(parameter.name) as Float32);
  }
  return {
    layer,
    weight: (name) => weights.get(name) as Float32,
    place: (dims, seed) => placed(engine, randomTensor(dims, seed)),
  };
}
