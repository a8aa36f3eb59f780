import { Dinov2Error } from '../../src/errors.ts';
import { dice } from './mutate.ts';
import type { Reader } from './readers.ts';

/** What an input came to: read, refused by a named error, or what must not be. */
export interface Outcome {
  readonly kind: 'read' | 'refused' | 'found';
  readonly problem?: string;
}

/** What a key of an input could reach by `__proto__` or `constructor`. */
const SHARED = [Object, Array, Function, String, Number, Boolean, Map, Set, Promise, Uint8Array, Float32Array, Error]
  .flatMap((kind) => [kind, kind.prototype] as object[])
  .map((object) => ({ object, before: Object.getOwnPropertyDescriptors(object) as Record<PropertyKey, PropertyDescriptor> }));

/** Whether something that all objects share has other fields than at the start, or others in their place. */
function isChanged(): boolean {
  return SHARED.some(({ object, before }) => {
    const keys = Reflect.ownKeys(object);
    return (
      keys.length !== Reflect.ownKeys(before).length ||
      keys.some((key) => {
        const [was, is] = [before[key], Reflect.getOwnPropertyDescriptor(object, key)];
        return !Object.is(was?.value, is?.value) || was?.get !== is?.get || was?.set !== is?.set;
      })
    );
  });
}

/** Reads the input of a seed. */
export async function check(reader: Reader, seed: number): Promise<Outcome> {
  const input = reader.make(dice(seed));
  const before = process.resourceUsage();
  let outcome: Outcome = { kind: 'read' };
  try {
    await reader.read(input);
  } catch (error) {
    outcome = error instanceof Dinov2Error ? { kind: 'refused' } : { kind: 'found', problem: textOf(error) };
  }
  const after = process.resourceUsage();
  const taken = (after.userCPUTime + after.systemCPUTime - before.userCPUTime - before.systemCPUTime) / 1000;
  const grown = (after.maxRSS - before.maxRSS) / 1024;
  if (taken > MAX_MS) return { kind: 'found', problem: `took ${taken.toFixed(0)} ms` };
  if (grown > MAX_MIB) return { kind: 'found', problem: `took ${grown.toFixed(0)} MiB` };
  if (isChanged()) return { kind: 'found', problem: 'changed what all objects share' };
  return outcome;
}

function textOf(error: unknown): string {
  const { stack, details } = error as Error & { details?: string };
  return `${stack ?? error}${details ? `\n${details.slice(0, 1000)}` : ''}`;
}

/** An input is less than 1 MB: none may take more of the processors' time, whatever else they do, or so much memory at once. */
const MAX_MS = 5000;
const MAX_MIB = 200;
