import { isAbsolute } from 'node:path';
import { glob, isDynamicPattern } from 'tinyglobby';
import { NotFoundError } from '../errors.ts';
import { fileSystem } from '../files/source.ts';
import { openDecoder } from './decoder.ts';

const EXTENSIONS = ['png', 'jpg', 'jpeg'];

export interface DecoderChoice {
  /** A JavaScript file that exports `decode`, see {@link openDecoder}. Its `extensions` are looked for in folders too. */
  readonly decoder?: string;
}

export interface Found {
  /** Paths, each once: in the order of the arguments, within a folder or pattern by name. */
  readonly images: readonly string[];
  /** One for each folder or pattern without images. */
  readonly problems: readonly NotFoundError[];
}

/**
 * The images that arguments name: files, folders with all images in and below them, patterns such as "photos/*.png". What is
 * none of these is taken for a file: reading it tells that it is not there.
 */
export async function findImages(inputs: readonly string[], options: DecoderChoice = {}): Promise<Found> {
  const files = fileSystem();
  const { pattern, kinds } = await kindsOf(options);
  const images = new Set<string>();
  const problems: NotFoundError[] = [];
  for (const input of inputs) {
    const kind = await files.kind(input);
    if (kind === 'none' && !isDynamicPattern(input)) images.add(input);
    else if (kind === 'file') images.add(input);
    else {
      const found =
        kind === 'folder'
          ? await imagesBelow(input, pattern)
          : await glob(input, { expandDirectories: false, absolute: isAbsolute(input) });
      for (const image of found.sort()) images.add(image);
      if (found.length > 0) continue;
      const where = kind === 'folder' ? `${kinds} files in this folder` : 'files that match this pattern';
      problems.push(new NotFoundError(`${input}: expected ${where}, found none`));
    }
  }
  return { images: [...images], problems };
}

/** A class, and the images of it. */
export interface LabelledFolder {
  readonly label: string;
  readonly images: readonly string[];
}

/**
 * The folders in a folder, each a class of its name, with all PNG and JPEG files in and below them, by name. Folders whose names begin with
 * a point are passed over.
 * @returns `problems`: one for each folder without images, and one for images that are in none
 * @throws {NotFoundError} when there is no such folder, or none with images in it
 */
export async function findLabelledFolders(
  folder: string,
  options: DecoderChoice = {},
): Promise<{ classes: LabelledFolder[]; problems: NotFoundError[] }> {
  const files = fileSystem();
  const { pattern, kinds } = await kindsOf(options);
  const expected = 'a folder with a folder of images for each class';
  if ((await files.kind(folder)) !== 'folder') throw new NotFoundError(`${folder}: expected ${expected}, found no folder`);
  const classes: LabelledFolder[] = [];
  const problems: NotFoundError[] = [];
  for (const label of await files.list(folder)) {
    const path = files.join(folder, label);
    if (label.startsWith('.') || (await files.kind(path)) !== 'folder') continue;
    const images = (await imagesBelow(path, pattern)).sort();
    if (images.length > 0) classes.push({ label, images });
    else problems.push(new NotFoundError(`${path}: expected ${kinds} files of the class "${label}", found none: left out`));
  }
  if (classes.length === 0) throw new NotFoundError(`${folder}: expected ${expected}, found none`);
  const loose = await glob(pattern, { cwd: folder, caseSensitiveMatch: false, expandDirectories: false });
  if (loose.length > 0) {
    problems.push(new NotFoundError(`${folder}: expected images in the folder of their class, found ${loose.length} beside: left out`));
  }
  return { classes, problems };
}

/** Which files of a folder are images. */
async function kindsOf({ decoder }: DecoderChoice): Promise<{ pattern: string; kinds: string }> {
  const own = decoder === undefined ? [] : (await openDecoder(decoder)).extensions;
  return { pattern: `*.{${[...new Set([...EXTENSIONS, ...own])].join(',')}}`, kinds: ['PNG', ...own].join(', ').concat(' or JPEG') };
}

async function imagesBelow(folder: string, pattern: string): Promise<string[]> {
  const found = await glob(`**/${pattern}`, { cwd: folder, caseSensitiveMatch: false, expandDirectories: false });
  return found.map((image) => fileSystem().join(folder, image));
}
