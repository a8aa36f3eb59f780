import { ArgumentError } from '../errors.ts';
import { AutoImageProcessor, AutoModel, type Dinov2Model, type RawImage } from '../index.ts';
import {
  type ColormapName,
  captioned,
  drawMark,
  encodePng,
  heatPicture,
  markRadius,
  matchPicture,
  pcaPicture,
  sideBySide,
  stacked,
} from '../plot/index.ts';
import {
  attentionMaps,
  type DensePatches,
  type Foreground,
  fitPatchPca,
  matchPatches,
  matchPoint,
  type PatchColors,
  type Point,
  patchAt,
  patchFeatures,
  Rollout,
  similarityMap,
  spreadMatches,
  type WholePhoto,
  wholePhoto,
} from '../tasks/index.ts';
import type { Float32 } from '../tensor/index.ts';
import { forEachImage, type ModelChoice, setUpModel } from './batch.ts';
import { findImages } from './images.ts';
import { picturePaths, writePicture } from './pictures.ts';
import { showProgress } from './progress.ts';
import { type Sink, stdoutSink } from './results.ts';
import { lineOf, Pipe, type Terminal } from './terminal.ts';

/** What commands take that draw what a model sees in whole photographs. */
export interface LookOptions extends ModelChoice {
  /** A .png file, or a folder for pictures. Default the folder that one is in. */
  readonly output?: string;
  /** Pixels of the shorter edge that the model sees. Default 448. */
  readonly size?: number;
  readonly json?: boolean;
}

export const LAYOUTS = ['side', 'overlay', 'alone'] as const;

export interface PcaCommandOptions extends LookOptions {
  /** The colours beside the photograph, over it, or alone. Default side. */
  readonly layout?: (typeof LAYOUTS)[number];
  readonly foreground?: Foreground;
  readonly threshold?: number;
}

export interface AttentionCommandOptions extends LookOptions {
  /** The block, from 1, or from -1 backwards. Default -1. */
  readonly layer?: number;
  /** The head, from 1. Default all. */
  readonly head?: number;
  readonly rollout?: boolean;
  /** The patch whose attention is shown. Default the class token. */
  readonly point?: Point;
  readonly colormap?: ColormapName;
}

export interface MatchCommandOptions extends LookOptions {
  /** A point of the first image, whose likeness is shown in place of lines. */
  readonly point?: Point;
  /** Lines that are drawn. Default 40. */
  readonly lines?: number;
  /** Whether matches in the foreground alone are taken, as `dinov2 pca` finds it. */
  readonly foreground?: boolean;
  /** Default true. */
  readonly refine?: boolean;
  readonly colormap?: ColormapName;
}

const SIZE = 448;
/** Pictures of a row in a file for several. */
const ROW = 4;
/** Pixels of the longer edge of a picture among several. */
const SMALL = 480;

interface Looker {
  readonly model: Dinov2Model;
  /** Images that are read before their turn. */
  readonly ahead: number;
  read(path: string): Promise<RawImage>;
  look(image: RawImage): Promise<WholePhoto>;
  features(photo: WholePhoto): Promise<DensePatches>;
}

/** Runs with a model, which is disposed of afterwards. */
async function withLooker<T>(options: LookOptions, terminal: Terminal, body: (looker: Looker) => Promise<T>): Promise<T> {
  const { source, loading, reader } = await setUpModel(options, terminal);
  const { signal } = loading;
  const processor = await AutoImageProcessor.from_pretrained(source);
  const model = await AutoModel.from_pretrained(source, loading);
  const { size: shortestEdge = SIZE } = options;
  try {
    return await body({
      model,
      ahead: reader.wholeAhead,
      read: (path) => reader.read(path, { signal }),
      look: (image) => wholePhoto(image, { processor, config: model.config, shortestEdge }),
      async features({ pixel_values, frame }) {
        const { last_hidden_state } = await model({ pixel_values }, { signal });
        return { features: patchFeatures(last_hidden_state, [frame.rows, frame.columns]).at(0), frame };
      },
    });
  } finally {
    await reader.dispose();
    model.dispose();
  }
}

/** What was drawn of a photograph. */
interface Drawn {
  readonly path: string;
  readonly picture: RawImage;
}

/** `dinov2 pca`: patch features as colours that the images share. @returns how many inputs failed */
export async function drawPca(inputs: readonly string[], options: PcaCommandOptions, terminal: Terminal): Promise<number> {
  const { layout = 'side', foreground = 'auto', threshold } = options;
  const draw = async (image: RawImage, colors: PatchColors): Promise<RawImage> => {
    const picture = await pcaPicture(colors, image, { ...(layout === 'overlay' && { image }) });
    return layout === 'side' ? sideBySide([image, picture]) : picture;
  };
  const { images, problems } = await findImages(inputs, options);
  for (const problem of problems) terminal.stderr.write(lineOf(problem));
  if (images.length === 0) return problems.length;
  const paths = outputsOf(options.output, images, '.pca.png');
  const failed = await withLooker(options, terminal, async (looker) => {
    const features = new Map<string, Float32>();
    const unread = await eachImage(images, looker, terminal, async (path, image) => {
      const photo = await looker.look(image);
      features.set(path, (await looker.features(photo)).features as Float32);
    });
    const results = stdoutSink(new Pipe(terminal.stdout), options);
    if (features.size > 0) {
      const pca = fitPatchPca([...features.values()], { foreground, ...(threshold !== undefined && { threshold }) });
      const drawn = async function* (): AsyncGenerator<Drawn> {
        for (const [path, tensor] of features) {
          terminal.signal.throwIfAborted();
          yield { path, picture: await draw((await looker.read(path)).rgb(), pca.colorsOf(tensor)) };
        }
      };
      await deliver(drawn(), paths, results);
    }
    await results.close();
    return unread;
  });
  return problems.length + failed;
}

/** `dinov2 attention`: what heads look at, over the photograph. @returns how many inputs failed */
export async function drawAttention(inputs: readonly string[], options: AttentionCommandOptions, terminal: Terminal): Promise<number> {
  const { layer = -1, head, rollout = false, point, colormap } = options;
  if (rollout && (options.layer !== undefined || head !== undefined))
    throw new ArgumentError('rollout: expected neither layer nor head, for it goes through all of them');
  const { images, problems } = await findImages(inputs, options);
  for (const problem of problems) terminal.stderr.write(lineOf(problem));
  if (images.length === 0) return problems.length;
  if (images.length > 1 && options.output !== undefined && isPng(options.output)) {
    throw new ArgumentError(`output: expected a folder for the pictures of ${images.length} images, found "${options.output}"`);
  }
  const paths = outputsOf(options.output, images, '.attention.png');
  const failed = await withLooker(options, terminal, async (looker) => {
    const { model, look } = looker;
    const { num_hidden_layers: layers, num_attention_heads: heads } = model.config;
    const block = layer < 0 ? layers + layer : layer - 1;
    if (!(layer !== 0 && block >= 0 && block < layers))
      throw new ArgumentError(`layer: expected 1 to ${layers}, or -1 to -${layers}, found ${layer}`);
    if (head !== undefined && head > heads) throw new ArgumentError(`head: expected 1 to ${heads}, found ${head}`);
    const results = stdoutSink(new Pipe(terminal.stdout), options);
    const unread = await eachImage(images, looker, terminal, async (path, photo) => {
      const { image, pixel_values, frame } = await look(photo);
      const from = point && patchAt(frame, point);
      const flow = new Rollout();
      let maps: Float32 | undefined; // (heads, rows, columns)
      const grid = [frame.rows, frame.columns] as const;
      await model(
        { pixel_values },
        {
          signal: terminal.signal,
          attention_callback: (attention, at) => {
            if (rollout) flow.add(attention);
            else if (at.layer === block) maps = attentionMaps(attention, grid, { from });
          },
        },
      );
      if (rollout) maps = attentionMaps(flow.attention, grid, { from });
      const shown = head === undefined ? (maps as Float32) : (maps as Float32).slice(head - 1, head);
      const count = shown.dims[0] as number;
      const base = count > 1 ? await atMost(image, SMALL) : image;
      const mark = (picture: RawImage): RawImage => {
        const scale = picture.width / image.width;
        if (point) drawMark(picture, { x: point.x * scale, y: point.y * scale }, { color: [255, 40, 40], radius: markRadius(picture) });
        return picture;
      };
      const heats = Array.from({ length: count }, (_, i) => mark(heatPicture(base, shown.at(i), { ...(colormap && { colormap }) })));
      const labels = ['photo', ...heats.map((_, i) => `layer ${block + 1} head ${i + 1}`)];
      const panels = [mark(base.clone()), ...heats].map((panel, i) => captioned(panel, labels[i] as string));
      const picture = count > 1 ? sheet(panels) : (heats[0] as RawImage);
      await deliver([{ path, picture }], paths, results);
    });
    await results.close();
    return unread;
  });
  return problems.length + failed;
}

/** `dinov2 match`: places in two images that look alike. @throws what keeps it from working */
export async function drawMatches(
  [first, second]: readonly [string, string],
  options: MatchCommandOptions,
  terminal: Terminal,
): Promise<number> {
  const { output = 'match.png', point, lines = 40, foreground = false, refine = true, colormap, json = false } = options;
  if (!isPng(output)) throw new ArgumentError(`output: expected a name that ends in .png, found "${output}"`);
  await withLooker(options, terminal, async ({ read, look, features }) => {
    const [photoA, photoB] = [await look(await read(first)), await look(await read(second))];
    const [a, b] = [await features(photoA), await features(photoB)];
    let matches = point ? [matchPoint(a, b, point, { refine })] : matchPatches(a, b, { refine });
    if (foreground && !point) {
      const pca = fitPatchPca([a.features, b.features]);
      const [inA, inB] = [pca.colorsOf(a.features).foreground, pca.colorsOf(b.features).foreground];
      const isIn = (mask: Float32, { frame }: DensePatches, place: Point): boolean => {
        const { row, column } = patchAt(frame, place);
        return (mask.data[row * frame.columns + column] as number) > 0;
      };
      matches = matches.filter((match) => isIn(inA, a, match.a) && isIn(inB, b, match.b));
    }
    const picture = point
      ? await matchPicture(photoA.image, heatPicture(photoB.image, similarityMap(a, b, point), { ...(colormap && { colormap }) }), matches)
      : await matchPicture(photoA.image, photoB.image, spreadMatches(matches, { count: lines, ...extentOf(photoA.image) }));
    await writePicture(output, await encodePng(picture));
    const record = {
      a: { image: first, ...extentOf(photoA.image) },
      b: { image: second, ...extentOf(photoB.image) },
      picture: output,
      matches,
    };
    const [best] = matches;
    const text = best
      ? `${point ? `${at(best.a)} is most like ${at(best.b)}` : `${matches.length} matches`}, similarity up to ${best.similarity.toFixed(3)}  ${output}`
      : `no matches  ${output}`;
    await new Pipe(terminal.stdout).write(json ? `${JSON.stringify(record)}\n` : `${text}\n`);
  });
  return 0;
}

function at({ x, y }: Point): string {
  return `${x.toFixed(1)},${y.toFixed(1)}`;
}

function extentOf({ width, height }: RawImage): { width: number; height: number } {
  return { width, height };
}

function isPng(path: string): boolean {
  return path.toLowerCase().endsWith('.png');
}

/** A file for all pictures, or one for each. */
function outputsOf(output: string | undefined, images: readonly string[], ending: string): string | ReadonlyMap<string, string> {
  if (output !== undefined && isPng(output)) return output;
  return picturePaths(output ?? '', images, { option: 'output', ending });
}

async function eachImage(
  images: readonly string[],
  { ahead, read }: Looker,
  { stderr, signal }: Terminal,
  work: (path: string, image: RawImage) => Promise<void>,
): Promise<number> {
  const progress = showProgress(images.length, stderr, { bar: stderr.isTTY === true && images.length > 1 });
  return forEachImage(images, {
    ahead,
    prepare: read,
    work,
    signal,
    onFailure: (image, error) => progress.log(lineOf(error, image)),
    onDone: () => progress.step(),
  }).finally(() => progress.stop());
}

/** Writes pictures, each to its file, or all as a sheet to one, and tells of them. */
async function deliver(
  drawn: Iterable<Drawn> | AsyncIterable<Drawn>,
  paths: string | ReadonlyMap<string, string>,
  results: Sink,
): Promise<void> {
  const tell = (image: string, picture: string): Promise<void> =>
    results.write({ image, text: `${image}  ${picture}`, fields: () => ({ picture }) });
  const all: Drawn[] = [];
  for await (const { path, picture } of drawn) {
    if (typeof paths === 'string') all.push({ path, picture });
    else {
      const to = paths.get(path) as string;
      await writePicture(to, await encodePng(picture));
      await tell(path, to);
    }
  }
  if (typeof paths !== 'string') return;
  const pictures = all.map(({ picture }) => picture);
  const [only] = pictures;
  const small = pictures.length > 1 ? await Promise.all(pictures.map((picture) => atMost(picture, 2 * SMALL))) : [];
  await writePicture(paths, await encodePng(pictures.length === 1 ? (only as RawImage) : sheet(small)));
  for (const { path } of all) await tell(path, paths);
}

/** Pictures in rows. */
function sheet(pictures: readonly RawImage[]): RawImage {
  const columns = pictures.length > ROW ? Math.ceil(pictures.length / Math.ceil(pictures.length / ROW)) : pictures.length;
  const rows = Array.from({ length: Math.ceil(pictures.length / columns) }, (_, i) => pictures.slice(i * columns, (i + 1) * columns));
  return stacked(rows.map((row) => sideBySide(row)));
}

/** A picture with no edge longer than so many pixels. */
async function atMost(picture: RawImage, longest: number): Promise<RawImage> {
  const scale = Math.min(1, longest / Math.max(picture.width, picture.height));
  const [width, height] = [picture.width, picture.height].map((edge) => Math.max(1, Math.round(edge * scale))) as [number, number];
  return scale < 1 ? picture.resize(width, height, { resample: 'bicubic' }) : picture;
}
