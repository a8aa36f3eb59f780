import { CheckpointError } from '../errors.ts';
import { describe } from '../files/json.ts';
import { type ByteSource, Checkpoint, type Entry, type Extent } from './checkpoint.ts';

/**
 * Replaces part of a tensor's name, whole words between dots. One name for one renames; several for one join tensors along dimension 0, in
 * the order given; one for several splits a tensor along it into equal parts. A `*` in `from` is any number, and one in `to` the last of
 * these.
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
 * Names of facebookresearch/dinov2 (dinov2/models/vision_transformer.py) and, where it has others, of timm (its file of that name), to
 * those on the hub.
 */
const ORIGINAL: readonly Rule[] = [
  { from: ['cls_token'], to: ['embeddings.cls_token'] },
  { from: ['mask_token'], to: ['embeddings.mask_token'] },
  { from: ['register_tokens'], to: ['embeddings.register_tokens'] },
  { from: ['reg_token'], to: ['embeddings.register_tokens'] },
  { from: ['pos_embed'], to: ['embeddings.position_embeddings'] },
  { from: ['patch_embed.proj'], to: ['embeddings.patch_embeddings.projection'] },
  { from: ['blocks.*.*'], to: ['blocks.*'] }, // chunks for FSDP: blocks are numbered through them
  { from: ['blocks.*'], to: ['encoder.layer.*'] },
  { from: ['attn.qkv'], to: ['attention.attention.query', 'attention.attention.key', 'attention.attention.value'] },
  { from: ['attn.proj'], to: ['attention.output.dense'] },
  { from: ['ls1.gamma'], to: ['layer_scale1.lambda1'] },
  { from: ['ls2.gamma'], to: ['layer_scale2.lambda1'] },
  { from: ['mlp.w12'], to: ['mlp.weights_in'] },
  { from: ['mlp.w3'], to: ['mlp.weights_out'] },
  { from: ['norm'], to: ['layernorm'] },
];

/** What is beside the encoder in a Depth Anything of either version (depth_anything/dpt.py, depth_anything_v2/dpt.py), to the names on the hub. */
const DEPTH_ANYTHING: readonly Rule[] = [
  { from: ['depth_head.projects.*'], to: ['neck.reassemble_stage.layers.*.projection'] },
  { from: ['depth_head.resize_layers.*'], to: ['neck.reassemble_stage.layers.*.resize'] },
  { from: ['depth_head.scratch.layer1_rn'], to: ['neck.convs.0'] },
  { from: ['depth_head.scratch.layer2_rn'], to: ['neck.convs.1'] },
  { from: ['depth_head.scratch.layer3_rn'], to: ['neck.convs.2'] },
  { from: ['depth_head.scratch.layer4_rn'], to: ['neck.convs.3'] },
  { from: ['depth_head.scratch.refinenet4'], to: ['neck.fusion_stage.layers.0'] }, // counted from the shallowest level, here from the deepest
  { from: ['depth_head.scratch.refinenet3'], to: ['neck.fusion_stage.layers.1'] },
  { from: ['depth_head.scratch.refinenet2'], to: ['neck.fusion_stage.layers.2'] },
  { from: ['depth_head.scratch.refinenet1'], to: ['neck.fusion_stage.layers.3'] },
  { from: ['out_conv'], to: ['projection'] },
  { from: ['resConfUnit1.conv1'], to: ['residual_layer1.convolution1'] },
  { from: ['resConfUnit1.conv2'], to: ['residual_layer1.convolution2'] },
  { from: ['resConfUnit2.conv1'], to: ['residual_layer2.convolution1'] },
  { from: ['resConfUnit2.conv2'], to: ['residual_layer2.convolution2'] },
  { from: ['depth_head.scratch.output_conv1'], to: ['head.conv1'] },
  { from: ['depth_head.scratch.output_conv2.0'], to: ['head.conv2'] },
  { from: ['depth_head.scratch.output_conv2.2'], to: ['head.conv3'] },
];

/** timm calls the matrices of a SwiGLU as those of an MLP. */
const TIMM_SWIGLU: readonly Rule[] = [
  { from: ['mlp.fc1'], to: ['mlp.w12'] },
  { from: ['mlp.fc2'], to: ['mlp.w3'] },
];

/** A tensor that every model in the original layout has, by which it is known. */
const ORIGINAL_MARK = 'patch_embed.proj.weight';

/** Tensors of this name belong to a Depth Anything in the original layout, whose encoder is called "pretrained". */
const DEPTH_ANYTHING_MARK = 'depth_head.scratch.output_conv1.weight';

const ZEROS: ByteSource = {
  async read(_, bytes, visit) {
    visit(new Uint8Array(bytes));
  },
};

/**
 * The same tensors under the names that transformers uses on the hub, which are those of our models, give or take a prefix such as
 * "dinov2.". Prefixes of the original layout, such as "module.backbone.", are left off. Names that are canonical already, or unknown, stay
 * as they are. Nothing is read; both checkpoints share their files.
 * @throws {CheckpointError} naming the tensors that do not fit together
 */
export function canonical(checkpoint: Checkpoint): Checkpoint {
  return rename(fromOriginal(checkpoint), TRANSFORMERS_5);
}

function fromOriginal(checkpoint: Checkpoint): Checkpoint {
  const { name: where, entries } = checkpoint;
  const marks = [...entries.keys()].filter((name) => `.${name}`.endsWith(`.${ORIGINAL_MARK}`));
  const [mark] = marks;
  if (mark === undefined) return checkpoint;
  if (marks.length > 1) throw new CheckpointError(`${where}: expected one model, found ${marks.map(describe).join(' and ')}`);

  const prefix = mark.slice(0, -ORIGINAL_MARK.length);
  if (entries.has(DEPTH_ANYTHING_MARK)) return fromDepthAnything(checkpoint, prefix);
  const bare = new Map<string, Entry>();
  for (const [name, entry] of entries) put(where, bare, name.startsWith(prefix) ? name.slice(prefix.length) : name, entry);
  const positions = bare.get('pos_embed');
  if (positions && bare.has('reg_token')) bare.set('pos_embed', withClassPosition(where, positions));

  const [inner] = bare.get('blocks.0.mlp.fc1.weight')?.dims ?? [];
  const [, outer] = bare.get('blocks.0.mlp.fc2.weight')?.dims ?? [];
  const isTimmSwiglu = inner !== undefined && outer !== undefined && inner === 2 * outer;
  return rename(new Checkpoint({ ...checkpoint, entries: bare }), isTimmSwiglu ? [...TIMM_SWIGLU, ...ORIGINAL] : ORIGINAL);
}

/** On the hub the encoder of such a model is called "backbone". */
function fromDepthAnything({ entries, ...checkpoint }: Checkpoint, prefix: string): Checkpoint {
  const named = new Map<string, Entry>();
  for (const [name, entry] of entries) {
    put(checkpoint.name, named, name.startsWith(prefix) ? `backbone.${name.slice(prefix.length)}` : name, entry);
  }
  return rename(new Checkpoint({ ...checkpoint, entries: named }), [...ORIGINAL, ...DEPTH_ANYTHING]);
}

/**
 * Position embeddings (1, patches, hidden) with zeros for the class token's: where there are registers, timm has added that row to the
 * token and dropped it.
 */
function withClassPosition(where: string, entry: Entry): Entry {
  const [batch, patches, hidden] = entry.dims;
  if (entry.dims.length !== 3 || batch !== 1 || !patches || !hidden) {
    throw new CheckpointError(`${where}: tensor "pos_embed": expected [1, patches, hidden], found ${show(entry)}`);
  }
  const row: Extent = { file: ZEROS, offset: 0, bytes: bytesOf(entry) / patches };
  return { dtype: entry.dtype, dims: [1, patches + 1, hidden], extents: [row, ...entry.extents] };
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
  const names = [...entries.keys()];
  if (!mayOccur(from, names.join('\n')) || !names.some((name) => find(name, from))) return entries;
  const result = new Map<string, Entry>();
  const done = new Set<string>();
  for (const [name, entry] of entries) {
    const replace = find(name, from);
    if (!replace) put(where, result, name, entry);
    else if (!done.has(name)) {
      const sources = from.length === 1 ? [name] : from.map(replace);
      for (const source of sources) done.add(source);
      const parts = split(where, sources, join(where, sources, entries), to.length);
      for (const [i, words] of to.entries()) put(where, result, replace(words), parts[i] as Entry);
    }
  }
  return result;
}

function put(where: string, entries: Map<string, Entry>, name: string, entry: Entry): void {
  if (entries.has(name)) throw new CheckpointError(`${where}: expected one tensor ${describe(name)}, found two that have this name here`);
  entries.set(name, entry);
}

/** Whether one of `words` can be in what is a text of names: most rules are about another layout, and soon done with. */
function mayOccur(words: readonly string[], names: string): boolean {
  return words.some((word) => word.split('.').every((part) => part === '*' || names.includes(part)));
}

/** The name with other words in the place of one of `words`, as a function of these; undefined where it has none of them. */
function find(name: string, words: readonly string[]): ((other: string) => string) | undefined {
  for (const word of words) {
    if (!mayOccur([word], name)) continue; // most names, and soon
    const pattern = word.split('.');
    const parts = name.split('.');
    const at = parts.findIndex((_, i) => pattern.every((part, j) => matches(part, parts[i + j])));
    if (at === -1) continue;
    const number = parts[at + pattern.lastIndexOf('*')] as string;
    return (other) => [...parts.slice(0, at), other.replace('*', number), ...parts.slice(at + pattern.length)].join('.');
  }
  return undefined;
}

function matches(pattern: string, part: string | undefined): boolean {
  return pattern === '*' ? /^\d+$/.test(part ?? '') : pattern === part;
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
  const bytes = bytesOf(entry) / count;
  const dims = [rows / count, ...row];
  return Array.from({ length: count }, (_, i) => ({ dtype: entry.dtype, dims, extents: cut(entry.extents, i * bytes, bytes) }));
}

/** What tensors must have in common to be joined. */
function rowOf({ dtype, dims }: Entry): string {
  return JSON.stringify([dtype, dims.length, ...dims.slice(1)]);
}

function bytesOf({ extents }: Entry): number {
  return extents.reduce((sum, { bytes }) => sum + bytes, 0);
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
