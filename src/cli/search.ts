import { stat } from 'node:fs/promises';
import { relative, sep } from 'node:path';
import { CheckpointError, NotFoundError } from '../errors.ts';
import { fileSystem } from '../files/source.ts';
import { RawImage } from '../image/rawImage.ts';
import { duplicates, type Pooling, VectorIndex } from '../tasks/index.ts';
import { forEachImage, type ModelChoice, type ModelSetup, setUpModel } from './batch.ts';
import { type FrozenEncoder, openEncoder } from './frozen.ts';
import { type GalleryImage, writeGallery } from './gallery.ts';
import { findImages } from './images.ts';
import {
  type ImageIndex,
  INDEX_FILE,
  type IndexedImage,
  type IndexModel,
  isSameModel,
  Journal,
  readIndex,
  rebuildHint,
  vectorsOf,
  writeIndex,
} from './indexFile.ts';
import { IndexLock } from './indexLock.ts';
import { showProgress } from './progress.ts';
import { lineOf, Pipe, type Terminal } from './terminal.ts';
import { Stopwatch, type Times, textOfTimes } from './times.ts';

export interface IndexOptions extends ModelChoice {
  readonly json?: boolean;
  /** What features are. Default cls, or as in the index that is there. */
  readonly pooling?: Pooling;
  /** Begins anew, whatever is there. */
  readonly rebuild?: boolean;
}

export interface SearchOptions extends ModelChoice {
  readonly json?: boolean;
  /** A file for a contact sheet. */
  readonly html?: string;
  /** The folder that was indexed. Default the current one. */
  readonly index?: string;
  readonly top?: number;
}

export interface DuplicatesOptions {
  readonly json?: boolean;
  /** A file for a contact sheet. */
  readonly html?: string;
  readonly threshold?: number;
}

/**
 * `dinov2 index`: brings the index of a folder up to date: new and changed files are embedded, those that are gone leave it. Each feature is in a
 * journal as soon as it is there, so that an interrupted run loses none.
 * @returns how many files could not be used; they are listed at the end
 */
export async function indexFolder(folder: string, options: IndexOptions, terminal: Terminal): Promise<number> {
  const { stderr, signal } = terminal;
  if ((await fileSystem().kind(folder)) !== 'folder') throw new NotFoundError(`${folder}: expected a folder of images, found none`);
  const onWait = (owner: string): unknown => stderr.write(`dinov2: ${owner} is changing the index of ${folder}: waiting for it\n`);
  const lock = await IndexLock.take(folder, { signal, onWait });
  try {
    return await updateIndex(lock, options, terminal);
  } finally {
    await lock.release();
  }
}

async function updateIndex(lock: IndexLock, options: IndexOptions, terminal: Terminal): Promise<number> {
  const { folder } = lock;
  const { stdout, stderr, signal } = terminal;
  const before = options.rebuild ? undefined : await readIndex(folder);
  const pooling = options.pooling ?? before?.model.pooling ?? 'cls';
  const exifOrientation = options.exifOrientation ?? before?.model.exifOrientation ?? false;
  const setup = await setUpModel({ ...options, exifOrientation }, terminal);
  const { encoder, model } = await openIndexEncoder(setup, { name: options.model ?? 'the demonstration', pooling, exifOrientation });
  const failures: string[] = [];
  const images = new Map<string, IndexedImage>();
  let times: Times | undefined;
  try {
    if (before) checkModel(folder, before.model, model);
    const { images: paths, problems } = await findImages([folder], options);
    for (const problem of problems) failures.push(lineOf(problem));
    const missing: Pending[] = [];
    for (const path of paths) {
      const found = await stat(path).catch((cause: Error) => cause);
      if (found instanceof Error) {
        failures.push(lineOf(new NotFoundError(`${path}: expected the image that the folder had, found none (${found.message})`)));
        continue;
      }
      const file = { name: relative(folder, path).split(sep).join('/'), size: found.size, time: Math.floor(found.mtimeMs) };
      const known = before?.images.get(file.name);
      if (known && known.size === file.size && known.time === file.time) images.set(file.name, known);
      else missing.push({ ...file, path });
    }
    const kept = images.size;
    if (missing.length > 0) {
      const journal = await Journal.open(lock, model);
      const progress = showProgress(missing.length, stderr, { bar: stderr.isTTY === true, lines: stderr.isTTY !== true });
      try {
        const files = new Map(missing.map(({ path, ...file }) => [path, file]));
        const watch = new Stopwatch();
        await forEachImage([...files.keys()], {
          ahead: encoder.ahead,
          prepare: (path) => encoder.prepare(path),
          async work(path, pixels) {
            const file = files.get(path) as Omit<IndexedImage, 'vector'>;
            const vector = (await watch.model(encoder.encode(pixels))).at(0).data;
            await journal.add({ ...file, vector });
            images.set(file.name, { ...file, vector });
          },
          watch,
          signal,
          onFailure: (path, error) => failures.push(lineOf(error, path)),
          onDone: () => progress.step(),
        });
        times = watch.times(setup.reader);
      } finally {
        progress.stop();
        await journal.close();
      }
    }
    const isChanged = missing.length > 0 || !before || before.isPending || images.size !== before.images.size;
    if (isChanged) await writeIndex(lock, model, images.values());
    const report = {
      images: images.size,
      added: images.size - kept,
      removed: [...(before?.images.keys() ?? [])].filter((name) => !images.has(name)).length,
      failed: failures.length,
      seconds: times,
    };
    await new Pipe(stdout).write(options.json ? `${JSON.stringify(report, null, 2)}\n` : `${textOf(folder, report)}\n`);
  } finally {
    await encoder.dispose();
  }
  for (const failure of failures) stderr.write(failure);
  return failures.length;
}

/** `dinov2 search`: the images of an index that are most like each of others. @returns how many of these could not be used */
export async function searchImages(inputs: readonly string[], options: SearchOptions, terminal: Terminal): Promise<number> {
  const { index: folder = '.', top = 10, json = false, html } = options;
  const { stdout, stderr, signal } = terminal;
  const { model: known, images } = await openIndex(folder);
  const { images: queries, problems } = await findImages(inputs, options);
  for (const problem of problems) stderr.write(lineOf(problem));
  const { exifOrientation } = known;
  const setup = await setUpModel({ ...options, exifOrientation }, terminal, { images: queries.length });
  const { encoder, model } = await openIndexEncoder(setup, { ...known, name: options.model ?? 'the demonstration' });
  const vectors = new VectorIndex(known.probe.length, { threads: options.threads ?? 'auto' });
  let failed = problems.length;
  try {
    checkModel(folder, known, model);
    const all = [...images.values()];
    for (let i = 0; i < all.length; i += 4096) vectors.add(vectorsOf(all.slice(i, i + 4096), known.probe.length), { copy: false });
    const pipe = new Pipe(stdout);
    const results: { image: string; neighbors: GalleryImage[] }[] = [];
    for (const image of queries) {
      signal.throwIfAborted();
      try {
        const [found = []] = vectors.search(await encoder.featureOf(image), { k: top });
        const neighbors = found.map(({ row, score }) => ({ image: fileSystem().join(folder, (all[row] as IndexedImage).name), score }));
        results.push({ image, neighbors });
        if (!json && html === undefined)
          await pipe.write(`${image}\n${neighbors.map((one) => `  ${one.score.toFixed(4)}  ${one.image}\n`).join('')}`);
      } catch (error) {
        if (signal.aborted) throw error;
        failed += 1;
        stderr.write(lineOf(error, image));
      }
    }
    if (json) await pipe.write(`${JSON.stringify(results, null, 2)}\n`);
    if (html !== undefined) {
      const groups = results.map(({ image, neighbors }) => ({ title: image, query: image, images: neighbors }));
      const note = `${all.length} images in ${folder}, the most alike first, each with its cosine similarity`;
      failed += await writeGallery(html, { title: 'Most alike', note, groups }, terminal);
    }
  } finally {
    vectors.dispose();
    await encoder.dispose();
  }
  return failed;
}

/** `dinov2 duplicates`: groups of images of an index that are nearly the same. It needs no model. @returns how many a contact sheet lacks */
export async function findDuplicates(
  folder: string,
  { json = false, html, threshold = 0.95 }: DuplicatesOptions,
  terminal: Terminal,
): Promise<number> {
  const { model, images } = await openIndex(folder);
  const all = [...images.values()];
  const groups = duplicates(vectorsOf(all, model.probe.length), { threshold }).map((rows) =>
    rows.map((row) => fileSystem().join(folder, (all[row] as IndexedImage).name)),
  );
  const text =
    groups.map((group) => `${group.join('\n')}\n`).join('\n') || `no two of ${all.length} images are alike by ${threshold} or more\n`;
  if (json || html === undefined) await new Pipe(terminal.stdout).write(json ? `${JSON.stringify(groups, null, 2)}\n` : text);
  if (html === undefined) return 0;
  const sheet = {
    title: `Near-duplicates in ${folder}`,
    note: `${all.length} images, ${groups.length} groups in which each is like another by ${threshold} or more`,
    groups: groups.map((group) => ({ title: `${group.length} images`, images: group.map((image) => ({ image })) })),
  };
  return writeGallery(html, sheet, terminal);
}

/** @throws {NotFoundError} on a folder without */
export async function openIndex(folder: string): Promise<ImageIndex> {
  const index = await readIndex(folder);
  if (index) return index;
  throw new NotFoundError(`${folder}: expected a folder with ${INDEX_FILE}, found none: make it with: dinov2 index ${folder}`);
}

async function openIndexEncoder(
  setup: ModelSetup,
  settings: Omit<IndexModel, 'probe'>,
): Promise<{ encoder: FrozenEncoder; model: IndexModel }> {
  const { name, pooling, exifOrientation } = settings;
  const encoder = await openEncoder(setup, settings);
  try {
    const probe = (await encoder.featureOf(probePicture())).at(0).data;
    return { encoder, model: { name, pooling, exifOrientation, probe } };
  } catch (error) {
    await encoder.dispose();
    throw error;
  }
}

/** A fixed picture with slopes and edges in all directions and colours. */
export function probePicture(): RawImage {
  const [width, height] = [320, 240];
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    const [x, y, channel] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width), i % 3];
    return (x * (channel + 1) + y * (3 - channel) + ((x >> 4) ^ (y >> 4)) * 37) & 255;
  });
  return new RawImage(data, width, height, 3);
}

/** @throws {CheckpointError} saying what to do */
export function checkModel(folder: string, expected: IndexModel, found: IndexModel): void {
  if (isSameModel(expected, found)) return;
  const describe = ({ name, pooling, exifOrientation, probe }: IndexModel): string =>
    `${name} (${pooling}, ${probe.length} numbers${exifOrientation ? ', upright' : ''})`;
  throw new CheckpointError(
    `${folder}: expected the model that made its index, ${describe(expected)}, found another, ${describe(found)}: give that --model, or ${rebuildHint(folder)}`,
  );
}

interface Pending extends Omit<IndexedImage, 'vector'> {
  readonly path: string;
}

interface Report {
  readonly images: number;
  readonly added: number;
  readonly removed: number;
  readonly failed: number;
  /** Where there was something to embed. */
  readonly seconds: Times | undefined;
}

function textOf(folder: string, { images, added, removed, failed, seconds }: Report): string {
  const counts = `${folder}: ${images} images in the index: ${added} embedded, ${removed} removed or replaced, ${failed} failed`;
  return seconds ? `${counts}\n${textOfTimes(seconds)}` : counts;
}
