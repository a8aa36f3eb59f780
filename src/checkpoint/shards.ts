import { ArgumentError, CheckpointError, NotFoundError } from '../errors.ts';
import { describe, isJsonObject } from '../files/json.ts';
import { jsonFile, type OutputFile, writeFiles } from '../files/output.ts';
import { fileSystem, type ModelSource, readJson, type Source, staysInside } from '../files/source.ts';
import { openModel } from '../hub/source.ts';
import { parseSize } from '../options.ts';
import { Checkpoint, type Entry } from './checkpoint.ts';
import { canonical } from './names.ts';
import { openPth } from './pth.ts';
import { bytesOfTensor, checkTensors, type NamedTensor, openSafetensors, writeSafetensors } from './safetensors.ts';

const SINGLE = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';
/** What transformers writes, always with config.json beside it. */
export const HUB_FILES: readonly string[] = [SINGLE, INDEX];
/** Of safetensors and, the others, of torch.save. */
const ENDINGS = /\.(safetensors|pth|pt|bin)$/;
const MAX_SHARDS = 1000;

/**
 * The tensors of a model: of model.safetensors, of the shards that model.safetensors.index.json lists, as one, or of the only other
 * checkpoint there is, such as dinov2_vits14_pretrain.pth.
 * @throws {NotFoundError} when there is none of these, or a shard is missing
 * @throws {CheckpointError} when a file is damaged, a shard lacks what the index says, or there are several checkpoints to choose from
 */
export async function openCheckpoint(source: ModelSource): Promise<Checkpoint> {
  const files = await openModel(source);
  const file = await findCheckpoint(files);
  if (file === undefined) throw new NotFoundError(`${files.name}: expected ${SINGLE}, ${INDEX} or a .pth file, found none of them`);
  if (file === INDEX) return openShards(files);
  return file.endsWith('.safetensors')
    ? openSafetensors(await files.open(file), files.limits)
    : openPth(await files.open(file), files.limits);
}

/**
 * The same under the names that tensors have on the hub ({@link canonical}).
 * @throws as both
 */
export async function openCanonical(source: ModelSource): Promise<Checkpoint> {
  const file = await openCheckpoint(source);
  try {
    return canonical(file);
  } catch (error) {
    await file.close();
    throw error;
  }
}

/**
 * Which file {@link openCheckpoint} begins with, if there is any.
 * @throws {CheckpointError} when there are several to choose from
 */
export async function findCheckpoint(files: Source): Promise<string | undefined> {
  for (const file of HUB_FILES) if (await files.has(file)) return file;
  const others = (await files.list()).filter((file) => ENDINGS.test(file));
  if (others.length > 1)
    throw new CheckpointError(`${files.name}: expected one checkpoint, found ${others.join(', ')}: give the path of one`);
  return others[0];
}

export interface SaveOptions {
  /** Bytes a file may have, as a number or like "5GB" or "200MiB"; a larger tensor has a file of its own. Default "5GB". */
  max_shard_size?: number | string;
  /** Default { format: "pt" }, without which transformers refuses the file. */
  metadata?: Readonly<Record<string, string>>;
  /** Files of the same folder that belong to them, the last one that without which the tensors are no model. */
  beside?: readonly OutputFile[];
}

/**
 * Writes model.safetensors into a folder or, where that would be larger than `max_shard_size`, shards and their index as transformers
 * names them.
 * @throws {ArgumentError} on another size, on names given twice, and for shards in a folder with a model.safetensors, which would be read
 * in their place
 */
export async function saveCheckpoint(
  folder: string,
  tensors: Iterable<NamedTensor>,
  { max_shard_size = '5GB', metadata = { format: 'pt' }, beside = [] }: SaveOptions = {},
): Promise<void> {
  const system = fileSystem();
  const all = [...tensors];
  checkTensors(all);
  const shards = split(all, parseSize('max_shard_size', max_shard_size));
  const single = system.join(folder, SINGLE);
  const file = (path: string, shard: readonly NamedTensor[]): OutputFile => ({
    path,
    write: (writer) => writeSafetensors(writer, shard, metadata),
  });
  if (shards.length === 1) return writeFiles([file(single, all), ...beside]);

  if ((await system.kind(single)) !== 'none') {
    throw new ArgumentError(
      `${single}: expected none beside shards, found one, which would be read in their place: remove it or save elsewhere`,
    );
  }
  const named = shards.map((shard, i) => ({ name: shardName(i + 1, shards.length), shard }));
  const index = {
    metadata: { total_size: all.reduce((sum, tensor) => sum + bytesOfTensor(tensor), 0) },
    weight_map: Object.fromEntries(named.flatMap(({ name, shard }) => shard.map((tensor) => [tensor.name, name]))),
  };
  await writeFiles([
    ...named.map(({ name, shard }) => file(system.join(folder, name), shard)),
    jsonFile(system.join(folder, INDEX), index), // after them: without it the shards are no model
    ...beside,
  ]);
}

async function openShards(source: Source): Promise<Checkpoint> {
  const where = `${source.name}: ${INDEX}`;
  const index = await readJson(source, INDEX);
  const map = isJsonObject(index) ? index.weight_map : undefined;
  if (!isJsonObject(map)) throw new CheckpointError(`${where}: expected an object with weight_map, found ${describe(index)}`);
  const names = new Set(Object.values(map).map((name) => checkShardName(where, name)));
  if (names.size > MAX_SHARDS) throw new CheckpointError(`${where}: expected at most ${MAX_SHARDS} shards, found ${names.size}`);

  const shards = new Map<string, Checkpoint>();
  try {
    for (const name of names) {
      if (!(await source.has(name))) throw new NotFoundError(`${where}: expected the shard ${name} beside it, found none: download it too`);
      shards.set(name, await openSafetensors(await source.open(name), source.limits));
    }
    return merge(source.name, map as Record<string, string>, shards);
  } catch (error) {
    for (const shard of shards.values()) await shard.close();
    throw error;
  }
}

/** The tensors that the index lists, shard by shard, as they lie in these: a stream of each is read but once. */
function merge(name: string, map: Readonly<Record<string, string>>, shards: ReadonlyMap<string, Checkpoint>): Checkpoint {
  for (const [tensor, file] of Object.entries(map)) {
    if (shards.get(file)?.entries.has(tensor)) continue;
    throw new CheckpointError(`${name}: ${file}: expected the tensor ${describe(tensor)}, as ${INDEX} says, found none of that name`);
  }
  const entries = new Map<string, Entry>();
  for (const [file, shard] of shards) {
    for (const [tensor, entry] of shard.entries) if (map[tensor] === file) entries.set(tensor, entry);
  }
  const all = [...shards.values()];
  return new Checkpoint({
    name,
    entries,
    metadata: new Map(all.flatMap((shard) => [...shard.metadata])),
    files: all.flatMap((shard) => shard.files),
  });
}

function checkShardName(where: string, name: unknown): string {
  if (typeof name === 'string' && staysInside(name)) return name;
  throw new CheckpointError(`${where}: expected the names of shards inside the folder, found ${describe(name)}`);
}

/** The tensors in their order, each in the last shard while that has room. */
function split(tensors: readonly NamedTensor[], limit: number): NamedTensor[][] {
  const shards: NamedTensor[][] = [[]];
  let size = 0;
  for (const tensor of tensors) {
    const bytes = bytesOfTensor(tensor);
    if (size > 0 && size + bytes > limit) {
      shards.push([]);
      size = 0;
    }
    shards.at(-1)?.push(tensor);
    size += bytes;
  }
  return shards;
}

function shardName(number: number, count: number): string {
  const digits = (n: number): string => String(n).padStart(5, '0');
  return `model-${digits(number)}-of-${digits(count)}.safetensors`;
}
