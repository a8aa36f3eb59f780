import { CheckpointError } from '../errors.ts';
import { Checkpoint, type Entry, type Extent } from './checkpoint.ts';
import { describe } from './json.ts';

/**
 * Replaces part of a tensor's name, whole words between dots. One name for one renames; several for one join tensors along dimension 0, in the order
 * given; one for several splits a tensor along it into equal parts.
 */
export interface Rule {
  readonly from: readonly [string, ...string[]];
  readonly to: readonly [string, ...string[]];
}

/** Names that tensors have in the memory of transformers 5 (models/dinov2/modular_dinov2.py), to those on the hub. */
const TRANSFORMERS_5: readonly Rule[] = [
  { from: ['attention.q_proj'], to: ['attention.attention.query'] },
  { from: ['attention.k_proj'], to: ['attention.attention.key'] },
  { from: ['attention.v_proj'], to: ['attention.attention.value'] },
  { from: ['attention.o_proj'], to: ['attention.output.dense'] },
  { from: ['mlp.gate_proj', 'mlp.up_proj'], to: ['mlp.weights_in'] },
  { from: ['mlp.down_proj'], to: ['mlp.weights_out'] },
];

/**
 * The same tensors under the names that transformers uses on the hub, which are those of our models, give or take a prefix such
 * as "dinov2.". Names that are canonical already, or unknown, stay as they are. Nothing is read; both checkpoints share their files.
 * @throws {CheckpointError} naming the tensors that do not fit together
 */
export function canonical(checkpoint: Checkpoint): Checkpoint {
  return rename(checkpoint, TRANSFORMERS_5);
}

/**
 * Applies the rules one after the other.
 * @throws {CheckpointError} on tensors that cannot be joined or split as a rule says, or that would have the same name
 */
export function rename(checkpoint: Checkpoint, rules: readonly Rule[]): Checkpoint {
  const apply = (entries: ReadonlyMap<string, Entry>, rule: Rule): ReadonlyMap<string, Entry> => applyRule(checkpoint.name, entries, rule);
  return new Checkpoint({ ...checkpoint, entries: rules.reduce(apply, checkpoint.entries) });
}

function applyRule(where: string, entries: ReadonlyMap<string, Entry>, { from, to }: Rule): ReadonlyMap<string, Entry> {
  const result = new Map<string, Entry>();
  const done = new Set<string>();
  for (const [name, entry] of entries) {
    const put = (target: string, part: Entry): void => {
      if (result.has(target)) {
        throw new CheckpointError(`${where}: expected one tensor ${describe(target)}, found another under the name ${describe(name)}`);
      }
      result.set(target, part);
    };
    const replace = find(name, from);
    if (!replace) put(name, entry);
    else if (!done.has(name)) {
      const sources = from.map(replace);
      for (const source of sources) done.add(source);
      const parts = split(where, sources, join(where, sources, entries), to.length);
      for (const [i, words] of to.entries()) put(replace(words), parts[i] as Entry);
    }
  }
  return result;
}

/** The name with other words in the place of one of `words`, as a function of these; undefined where it has none of them. */
function find(name: string, words: readonly string[]): ((other: string) => string) | undefined {
  const dotted = `.${name}.`;
  for (const word of words) {
    const at = dotted.indexOf(`.${word}.`);
    if (at !== -1) return (other) => name.slice(0, at) + other + name.slice(at + word.length);
  }
  return undefined;
}

/** One tensor after the other along dimension 0. */
function join(where: string, names: readonly string[], entries: ReadonlyMap<string, Entry>): Entry {
  const parts = names.map((name) => {
    const entry = entries.get(name);
    if (!entry) throw new CheckpointError(`${where}: expected ${names.map(describe).join(' and ')} together, found no ${describe(name)}`);
    return entry;
  });
  const [first, ...rest] = parts as [Entry, ...Entry[]];
  for (const [i, part] of rest.entries()) {
    if (rowOf(part) === rowOf(first) && first.dims.length > 0) continue;
    const problem = `expected rows as in ${describe(names[0])}, ${show(first)}, found ${show(part)}`;
    throw new CheckpointError(`${where}: tensor ${describe(names[i + 1])}: ${problem}`);
  }
  if (rest.length === 0) return first;
  const rows = parts.reduce((sum, part) => sum + (part.dims[0] as number), 0);
  return { dtype: first.dtype, dims: [rows, ...first.dims.slice(1)], extents: parts.flatMap((part) => part.extents) };
}

/** `count` tensors of as many rows each. */
function split(where: string, names: readonly string[], entry: Entry, count: number): Entry[] {
  if (count === 1) return [entry];
  const [rows = 0, ...row] = entry.dims;
  if (rows === 0 || rows % count !== 0) {
    throw new CheckpointError(`${where}: tensor ${names.map(describe)}: expected rows in ${count} equal parts, found ${show(entry)}`);
  }
  const bytes = entry.extents.reduce((sum, extent) => sum + extent.bytes, 0) / count;
  const dims = [rows / count, ...row];
  return Array.from({ length: count }, (_, i) => ({ dtype: entry.dtype, dims, extents: cut(entry.extents, i * bytes, bytes) }));
}

/** What tensors must have in common to be joined. */
function rowOf({ dtype, dims }: Entry): string {
  return JSON.stringify([dtype, dims.length, ...dims.slice(1)]);
}

function show({ dtype, dims }: Entry): string {
  return `${dtype} ${describe(dims)}`;
}

/** `bytes` bytes from `begin` on, of what the extents hold together. */
function cut(extents: readonly Extent[], begin: number, bytes: number): Extent[] {
  const parts: Extent[] = [];
  let start = 0;
  for (const { file, offset, bytes: length } of extents) {
    const from = Math.max(begin, start);
    const to = Math.min(begin + bytes, start + length);
    if (to > from) parts.push({ file, offset: offset + from - start, bytes: to - from });
    start += length;
  }
  return parts;
}
