import { Dinov2Error } from '../../src/errors.ts';
import { dice } from './mutate.ts';
import type { Reader } from './readers.ts';

/** What an input came to: read, refused by a named error, or what must not be. */
export interface Outcome {
  readonly kind: 'read' | 'refused' | 'found';
  readonly problem?: string;
}

const PROTOTYPES = [Object.prototype, Array.prototype, Function.prototype, Map.prototype, Uint8Array.prototype];
const names = (): string => PROTOTYPES.map((prototype) => Reflect.ownKeys(prototype).map(String).join()).join(';');
const CLEAN = names();

/** Reads the input of a seed. */
export async function check(reader: Reader, seed: number): Promise<Outcome> {
  const input = reader.make(dice(seed));
  const before = process.resourceUsage().maxRSS;
  const start = performance.now();
  let outcome: Outcome = { kind: 'read' };
  try {
    await reader.read(input);
  } catch (error) {
    outcome = error instanceof Dinov2Error ? { kind: 'refused' } : { kind: 'found', problem: String((error as Error).stack ?? error) };
  }
  const taken = performance.now() - start;
  const grown = (process.resourceUsage().maxRSS - before) / 1024;
  if (taken > MAX_MS) return { kind: 'found', problem: `took ${taken.toFixed(0)} ms` };
  if (grown > MAX_MIB) return { kind: 'found', problem: `took ${grown.toFixed(0)} MiB` };
  if (names() !== CLEAN) return { kind: 'found', problem: 'changed a prototype' };
  return outcome;
}

/** An input is less than 1 MB: none may take longer, or so much memory at once. */
const MAX_MS = 5000;
const MAX_MIB = 200;
