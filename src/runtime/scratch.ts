import { Engine } from './engine.ts';

let engine: Engine | undefined;

/** The engine for short work that belongs to no model, such as the resizing of pictures: made when it is first needed, and shared. */
export function scratchEngine(): Engine {
  engine ??= new Engine();
  return engine;
}
