import { copyFileSync, cpSync, mkdirSync, readdirSync, renameSync, rmSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { depthModel, encoderFolder, withWorkplace } from '../cli/helpers.ts';
import { goldenPath } from '../helpers.ts';
import type { Action } from './act.ts';

/** One kind of write. */
export interface Write {
  readonly name: string;
  readonly action: Action;
  /** What has run before, in the order in which it has: the results of it are what may not be lost. */
  readonly before?: readonly Action[];
  /** Between that and the write. */
  readonly change?: (folder: string) => void;
  /** Where the same again is refused, because it was done already in part: what a person does then. */
  readonly again?: Action;
  /** Files that belong together, the last of which tells that they are whole. */
  readonly sets?: readonly (readonly string[])[];
  /** Whether it downloads. */
  readonly isDownload?: boolean;
}

const dinov2 = (line: string): Action => ({ args: line.split(' ') });

/** Those of a model. */
const MODEL = ['out/model.safetensors', 'out/preprocessor_config.json', 'out/config.json'];

/** More pictures, and one that has changed. */
function morePictures(folder: string): void {
  for (const name of readdirSync(join(folder, 'more'))) {
    copyFileSync(join(folder, 'more', name), join(folder, 'photos', name));
    utimesSync(join(folder, 'photos', name), 1_700_000_000, 1_700_000_000);
  }
}

export const WRITES: readonly Write[] = [
  { name: 'index', action: dinov2('index photos --model model --json') },
  {
    name: 'index, brought up to date',
    before: [dinov2('index photos --model model')],
    change: morePictures,
    action: dinov2('index photos --model model --json'),
  },
  {
    name: 'index --rebuild',
    before: [dinov2('index photos --model model')],
    change: morePictures,
    action: dinov2('index photos --model model --rebuild --json'),
  },
  {
    name: 'export',
    before: [dinov2('index photos --model model')],
    action: dinov2('export photos --output out.npy'),
    sets: [['out.npy', 'out.txt']],
  },
  {
    name: 'convert',
    action: dinov2('convert encoder.pth --attention-heads 4 --output out'),
    again: dinov2('convert encoder.pth --attention-heads 4 --output out --overwrite'),
    sets: [MODEL],
  },
  {
    name: 'convert --overwrite',
    before: [dinov2('quantize model --output out')],
    action: dinov2('convert encoder.pth --attention-heads 4 --output out --overwrite'),
    sets: [MODEL],
  },
  {
    name: 'quantize --overwrite',
    before: [dinov2('convert encoder.pth --attention-heads 4 --output out')],
    action: dinov2('quantize model --output out --overwrite'),
    sets: [MODEL],
  },
  {
    name: 'save_pretrained, in shards',
    action: { call: 'saveShards' },
  },
  {
    name: 'probe fit, a file',
    before: [dinov2('probe fit pets --model model --output pets.safetensors --classifier knn')],
    action: dinov2('probe fit pets --model model --output pets.safetensors'),
  },
  {
    name: 'probe fit, a model',
    before: [dinov2('quantize model --output out')],
    action: dinov2('probe fit pets --model model --output out'),
    sets: [MODEL],
  },
  ...['npy', 'safetensors', 'json', 'jsonl'].map((format) => ({
    name: `embed --output .${format}`,
    before: [dinov2(`embed photos/a.png --model model --output out.${format}`)],
    action: dinov2(`embed photos --model model --output out.${format}`),
  })),
  {
    name: 'depth --pictures',
    before: [dinov2('depth photos --model depth --pictures out --colormap turbo')],
    action: dinov2('depth photos --model depth --pictures out --png16 out --output out/depth.npy'),
  },
  {
    name: 'pca --output',
    before: [dinov2('pca photos/a.png --size 16 --model model --output out.png')],
    action: dinov2('pca photos --size 16 --model model --output out.png'),
  },
  {
    name: 'download',
    action: dinov2('embed photos/a.png --model someone/encoder --output out.npy'),
    isDownload: true,
  },
];

/** Puts models and pictures for all of them into a folder. */
export async function fill(folder: string): Promise<void> {
  await withWorkplace(async ({ model, picture, path }) => {
    renameOver(model, join(folder, 'model'));
    for (const name of ['photos', 'more', 'pets/cats', 'pets/dogs']) mkdirSync(path(name), { recursive: true });
    for (const name of ['a', 'b', 'c', 'd']) picture(`photos/${name}.png`);
    for (const name of ['b', 'e', 'f']) picture(`more/${name}.png`, { width: 20, height: 20 });
    for (const name of ['cats/1', 'cats/2', 'dogs/3', 'dogs/4']) picture(`pets/${name}.png`);
    for (const name of ['photos', 'more', 'pets']) renameOver(path(name), join(folder, name));
  });
  for (const name of readdirSync(join(folder, 'photos'))) utimesSync(join(folder, 'photos', name), 1_600_000_000, 1_600_000_000);
  await depthModel(join(folder, 'depth'));
  copyFileSync(goldenPath('fb-backbone/model.pth'), join(folder, 'encoder.pth'));
}

/** The files of a model on a hub. */
export async function hubModel(folder: string): Promise<void> {
  await encoderFolder(folder);
}

/** Also to another disk. */
function renameOver(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch {
    cpSync(from, to, { recursive: true });
    rmSync(from, { recursive: true });
  }
}
