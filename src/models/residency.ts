import type { Parameter } from '../nn/parameters.ts';
import type { Engine } from '../runtime/engine.ts';
import type { Address } from '../runtime/memory.ts';

/** Blocks of a model that are brought into memory one at a time. */
export interface StreamedBlocks {
  /** Puts the weights of a block where it reads them, if they are not there. */
  bring(block: number): Promise<void>;
  /** Lets go of the files. */
  close(): Promise<void>;
}

/** Tokens of a picture of 518 x 518, and floats a token and unit of width that a block needs for them: the memory that is left for activations. */
const ACTIVATION_TOKENS = 1370;
const ACTIVATION_FLOATS = 14;

/** Of the memory, at most: who asks for less has small pictures in mind. */
const ACTIVATION_SHARE = 0.25;

/**
 * How many blocks, from the first on, stay in memory: all of them if they fit beside the activations of a picture of 518 x 518, else as many as
 * leave room for one more, through which the others take turns.
 */
export function residentBlocks(
  rest: readonly Parameter[],
  blocks: readonly (readonly Parameter[])[],
  { limit, width }: { limit: number; width: number },
): number {
  const bytes = (parameters: readonly Parameter[]): number => parameters.reduce((sum, parameter) => sum + parameter.bytes, 0);
  const room = limit - Math.min(limit * ACTIVATION_SHARE, ACTIVATION_TOKENS * ACTIVATION_FLOATS * width * 4) - bytes(rest);
  const sizes = blocks.map(bytes);
  if (sizes.reduce((sum, size) => sum + size, 0) <= room) return blocks.length;
  return Math.max(0, Math.floor(room / Math.max(1, ...sizes)) - 1);
}

/** Takes memory for blocks: for the first `resident` of them each its own, for all others the same. */
export function allocateBlocks(engine: Engine, blocks: readonly (readonly Parameter[])[], resident: number): void {
  let slot: Address | undefined;
  for (const [n, parameters] of blocks.entries()) {
    const allocate = (): void => {
      for (const parameter of parameters) parameter.allocate();
    };
    if (n > resident && slot !== undefined) engine.within(slot, allocate);
    else {
      slot = engine.end;
      allocate();
    }
  }
}
